"""What can be configured about payments, by environment variable."""

from typing import Annotated

from pydantic import AfterValidator, Field
from pydantic_settings import SettingsConfigDict

from ensemble.settings import EnvironmentSettings, check_url


class PaymentSettings(EnvironmentSettings):
    """`PAYMENT_PROVIDER_URL` and `PAYMENT_ATTEMPT_TIMEOUT_S`."""

    model_config = SettingsConfigDict(env_prefix="PAYMENT_", extra="ignore")

    provider_url: Annotated[str, AfterValidator(check_url)] = "http://127.0.0.1:8090"
    """Where the payment provider answers."""
    attempt_timeout_s: float = Field(default=3.0, gt=0, le=300)
    """How long one call may take. Below ENSEMBLE_ATTEMPT_TIMEOUT_S, the error names the provider."""
