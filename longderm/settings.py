"""Settings: from the environment (`LONGDERM_...`), else from `longderm.toml` in the current folder, else defaults."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from pathlib import Path
from types import MappingProxyType

from pydantic import Field
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

#: Kind -> the packaged release that is used where neither a setting nor the store's promotions name another.
PACKAGED_VERSIONS: Mapping[str, str] = MappingProxyType(
    {
        "change": "0.5.0",
        "encoder": "0.1.0",
        "quality": "0.2.0",
        "segmentation": "0.4.0",
    }
)


class Settings(BaseSettings):
    """What a clinic may set. Everything that changes a result enters the fingerprints of the stages it touches."""

    model_config = SettingsConfigDict(env_prefix="LONGDERM_", toml_file="longderm.toml", extra="forbid", frozen=True)

    workers: int = Field(default=0, ge=0, description="worker processes; 0 means one per core")
    batch_size: int = Field(default=32, ge=1, le=256, description="photos or pairs per task")
    link_dir: Path | None = Field(
        default=None, description="folder of the key and the link table; default: beside the store, named STORE.link"
    )
    registry_dir: Path | None = Field(
        default=None, description="another registry of released models than the packaged one"
    )
    segmentation_version: str | None = Field(
        default=None, description="release that draws the masks; it wins over one promoted in the store"
    )
    quality_version: str | None = Field(
        default=None, description="release that expects the error of measurement; it wins over a promoted one"
    )
    change_version: str | None = Field(
        default=None, description="release that scores change; it wins over a promoted one"
    )
    encoder_version: str | None = Field(
        default=None, description="release that gives photos their vectors; it wins over a promoted one"
    )
    max_megapixels: float = Field(default=80.0, gt=0, description="a photo with more is quarantined as too_large")
    followup_months: float = Field(default=12.0, gt=0, description="a lesion not seen for longer is listed as overdue")
    as_of: date | None = Field(default=None, description="the day that counts as today; default: the local date")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments win over the environment, the environment over `longderm.toml`."""
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls)
