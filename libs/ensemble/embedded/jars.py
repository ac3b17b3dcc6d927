"""Apache Kafka's jars: pinned by SHA-256, fetched once, kept in a cache of the user."""

import contextlib
import hashlib
import logging
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path

from ensemble.embedded.errors import ELSEWHERE, EmbeddedKafkaError
from ensemble.embedded.progress import OnProgress, Step
from ensemble.extras import imports_of_extra

KAFKA_VERSION = "4.3.1"
PINNED = Path(__file__).with_name("jars.sha256")
AT_ONCE = 8
ATTEMPTS = 3


@dataclass(frozen=True)
class Jar:
    """One pinned file of the Maven repository."""

    group: str
    artifact: str
    version: str
    sha256: str

    @property
    def name(self) -> str:
        return f"{self.artifact}-{self.version}.jar"

    def is_at(self, path: Path) -> bool:
        """Tell whether the file is there and is, byte for byte, the pinned one."""
        try:
            return hashlib.sha256(path.read_bytes()).hexdigest() == self.sha256
        except OSError:
            return False


Download = Callable[[Jar, Path], Path]


def pinned_jars(pins: Path = PINNED) -> tuple[Jar, ...]:
    """Return the jars named in a file of `sha256  group:artifact:version` lines."""
    return tuple(_parse(pins.read_text(encoding="utf-8")))


def _parse(text: str) -> Iterator[Jar]:
    for line in text.splitlines():
        sha256, coordinate = line.split()
        group, artifact, version = coordinate.split(":")
        yield Jar(group, artifact, version, sha256)


def cache_directory(environment: Mapping[str, str] = os.environ) -> Path:
    """Return where this user's jars of this Kafka version are kept."""
    cache = environment.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache, "ensemble", f"kafka-{KAFKA_VERSION}").absolute()


def from_maven(jar: Jar, into: Path) -> Path:
    """Download one jar under the directory `into` and return where it is."""
    with imports_of_extra("embedded", "the embedded broker"):
        from jgo.maven import MavenContext

    logging.getLogger("jgo").setLevel(logging.ERROR)
    maven = MavenContext(repo_cache=into)
    return Path(maven.project(jar.group, jar.artifact).at_version(jar.version).artifact().resolve())


@dataclass(frozen=True)
class JarCache:
    """A directory that holds the pinned jars and nothing else; several processes may fill it at once."""

    directory: Path
    jars: tuple[Jar, ...]
    download: Download = from_maven

    def fill(self, on_progress: OnProgress) -> None:
        """Make every jar present and verified, or raise and keep what was verified so far."""
        missing = [jar for jar in self.jars if not jar.is_at(self.directory / jar.name)]
        if not missing:
            return
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(prefix=".fetching-", dir=self.directory) as staging:
                self._fetch_all(missing, Path(staging), on_progress)
        except OSError as error:
            raise EmbeddedKafkaError(
                f"The cache {self.directory} cannot be written ({error.strerror}). Name another in XDG_CACHE_HOME."
            ) from error

    @property
    def classpath(self) -> str:
        """The class path, in the order of the pins. Raises EmbeddedKafkaError if Java would split it wrongly."""
        if os.pathsep in str(self.directory):
            raise EmbeddedKafkaError(
                f"The cache {self.directory} has a {os.pathsep!r} in its path, where Java divides. "
                "Name another in XDG_CACHE_HOME."
            )
        return os.pathsep.join(str(self.directory / jar.name) for jar in self.jars)

    def _fetch_all(self, missing: list[Jar], staging: Path, on_progress: OnProgress) -> None:
        text = f"Fetching Apache Kafka {KAFKA_VERSION} (once, 45 MB)"
        on_progress(Step(text, 0, len(missing)))
        with ThreadPoolExecutor(AT_ONCE) as pool:
            under_way = {pool.submit(self._fetch, jar, staging) for jar in missing}
            try:
                self._await(under_way, lambda done: on_progress(Step(text, done, len(missing))))
            finally:
                pool.shutdown(cancel_futures=True)

    @staticmethod
    def _await(under_way: set[Future[None]], on_done: Callable[[int], None]) -> None:
        total = len(under_way)
        while under_way:
            done, under_way = wait(under_way, timeout=0.2, return_when=FIRST_EXCEPTION)
            for future in done:
                future.result()
            if done:
                on_done(total - len(under_way))

    def _fetch(self, jar: Jar, staging: Path) -> None:
        file = self._download(jar, staging)
        if not jar.is_at(file):
            raise EmbeddedKafkaError(
                f"{jar.name} was downloaded but its SHA-256 is not the pinned one, so it is refused. "
                f"Something between here and the Maven repository changed it. {ELSEWHERE}"
            )
        file.replace(self.directory / jar.name)

    def _download(self, jar: Jar, staging: Path) -> Path:
        for attempt in range(ATTEMPTS - 1):
            with contextlib.suppress(OSError, RuntimeError):
                return self.download(jar, staging / str(attempt))
        try:
            return self.download(jar, staging / "last")
        except (OSError, RuntimeError) as error:
            raise EmbeddedKafkaError(
                f"Apache Kafka {KAFKA_VERSION} is not complete in the cache {self.directory}, and {jar.name} could "
                f"not be downloaded ({type(error).__name__}). Connect to the network once; what is fetched is kept. "
                f"{ELSEWHERE}"
            ) from error
