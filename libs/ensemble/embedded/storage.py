"""Formats the storage of a new broker, once."""

import base64
import shutil
import subprocess
import uuid
from dataclasses import dataclass
from pathlib import Path

from ensemble.embedded.errors import EmbeddedKafkaError
from ensemble.embedded.java import java_environment
from ensemble.embedded.layout import NODE_ID, Layout
from ensemble.embedded.security import Security

FORMAT_LIMIT_S = 300.0
CHECKPOINT = Path(__file__).with_name("bootstrap.checkpoint")
"""What Kafka's own tool writes for a new cluster that anyone may enter, whichever: the levels of its features."""


@dataclass(frozen=True)
class Jvm:
    """A Java with Kafka on its class path."""

    java: Path
    classpath: str
    heap: str = "512m"

    def command(self, layout: Layout, *arguments: str, log: Path | None = None) -> list[str]:
        """Return the command line: a small heap, the collector that starts fastest, our log settings.

        It is for the broker's directory as the working directory. `log` is where it logs, if not to the broker's log.
        """
        return [
            str(self.java), "-Xms128m", f"-Xmx{self.heap}", "-XX:+UseSerialGC", "-XX:+ExitOnOutOfMemoryError",
            "-Djava.awt.headless=true", f"-Dlog4j2.configurationFile={layout.logging.name}",
            f"-Densemble.log={(log or layout.log).name}",
            "-cp", self.classpath, *arguments,
        ]  # fmt: skip


def format_storage(layout: Layout, jvm: Jvm, security: Security | None = None, limit_s: float = FORMAT_LIMIT_S) -> str:
    """Return the cluster id of the storage, after formatting it if it is new or was left half done.

    With `security` the storage begins with its first user, whose password Kafka's own tool has to encode: that takes a
    Java, and raises EmbeddedKafkaError after `limit_s`.
    """
    if layout.cluster_id.exists():
        return layout.cluster_id.read_text(encoding="utf-8").strip()
    shutil.rmtree(layout.data, ignore_errors=True)
    cluster_id = new_cluster_id()
    if security is None:
        _write_storage(layout.data, cluster_id)
    else:
        first_user = security.first_user(layout)
        try:
            _format(layout, jvm, cluster_id, f"@{first_user.name}", limit_s=limit_s)
        finally:
            first_user.unlink()
    layout.cluster_id.write_text(cluster_id + "\n", encoding="utf-8")
    return cluster_id


def new_cluster_id() -> str:
    """Return an id as Kafka makes them: 16 random bytes in base64, not taken for an option."""
    return base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=").replace("-", "A")


def _write_storage(data: Path, cluster_id: str) -> None:
    data.mkdir()
    (data / CHECKPOINT.name).write_bytes(CHECKPOINT.read_bytes())
    identity = {"version": 1, "node.id": NODE_ID, "cluster.id": cluster_id, "directory.id": new_cluster_id()}
    text = "".join(f"{name}={value}\n" for name, value in identity.items())
    (data / "meta.properties").write_text(text, encoding="utf-8")


def _format(layout: Layout, jvm: Jvm, cluster_id: str, *more: str, limit_s: float) -> None:
    arguments = ("kafka.tools.StorageTool", "format", "--cluster-id", cluster_id, "--config", layout.properties.name)
    command = jvm.command(layout, *arguments, *more)
    command.insert(1, "-XX:TieredStopAtLevel=1")  # it ends before optimizing its code pays
    try:
        subprocess.run(
            command, cwd=layout.directory, env=java_environment(), check=True, capture_output=True, encoding="utf-8",
            errors="replace", timeout=limit_s,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise EmbeddedKafkaError(
            f"Kafka has not formatted its storage in {layout.data} within {limit_s:g} s. Try again once the machine is "
            f"less busy; if it is not busy, try another Java than {jvm.java} (ENSEMBLE_JAVA=bundled)."
        ) from error
    except OSError as error:
        raise EmbeddedKafkaError(
            f"The Java at {jvm.java} does not work ({error}). Try ENSEMBLE_JAVA=bundled."
        ) from error
    except subprocess.CalledProcessError as error:
        output = (error.stderr or error.stdout).strip()[-400:]
        raise EmbeddedKafkaError(f"Kafka could not format its storage in {layout.data}: {output}") from error
