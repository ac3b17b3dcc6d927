"""What can be configured about the sandbox, by flag or by SANDBOX_ environment variable."""

from pathlib import Path

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from ensemble.settings import EnvironmentSettings, Host


class SandboxSettings(EnvironmentSettings):
    """Each field is a flag of `python -m services.payment_sandbox` and a variable with the prefix SANDBOX_."""

    model_config = SettingsConfigDict(env_prefix="SANDBOX_", frozen=True, extra="forbid")

    host: Host = Field("127.0.0.1", description="address to listen on")
    port: int = Field(8090, ge=0, le=65535, description="port to listen on, 0 for any free one")
    ledger: Path = Field(Path(".ensemble/payment-ledger.db"), description="file of the ledger, created when missing")
    hang_s: float = Field(60.0, gt=0, description="how long a hanging request stays unanswered")
    late_ms: int = Field(1_500, ge=0, description="how long after its first answer a late charge is booked")
    max_body_bytes: int = Field(16_384, gt=0, description="largest request body that is accepted")
