"""Which registry the settings ask for: the one place that chooses."""

from pathlib import Path

from contract.errors import Misconfigured
from provisioning.registry import Registry
from provisioning.registry.site import Wish
from provisioning.settings import ProvisioningSettings


def open_registry(settings: ProvisioningSettings, data_dir: Path, *, wish: Wish | None = None) -> Registry:
    """The registry; nothing is opened or asked before its first call.

    Args:
        settings: `[provisioning]`.
        data_dir: where a local registry is.
        wish: what `init` is to make of it.

    Raises:
        Misconfigured: a library is missing.
    """
    if settings.registry == "local":
        try:
            from provisioning.registry.sqlite import LocalRegistry
        except ModuleNotFoundError:
            raise Misconfigured("cryptography is not installed: pip install 'milepost[provisioning]'") from None
        return LocalRegistry(data_dir, settings, wish=wish)
    try:
        from provisioning.registry.aws import AwsRegistry
    except ModuleNotFoundError:
        raise Misconfigured("boto3 is not installed: pip install 'milepost[provisioning,aws]'") from None
    return AwsRegistry(settings, data_dir)
