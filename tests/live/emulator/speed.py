"""What moto looks up anew with each request, and what it looks for among everything: with hundreds of disks that is most of what it does."""

from functools import lru_cache

import moto.backends
from moto.ec2.models.core import TaggedEC2Resource
from moto.ec2.utils import EC2_PREFIX_TO_RESOURCE, get_prefix
from moto.moto_server.werkzeug_app import DomainDispatcherApplication

HOSTS_KEPT = 1024


def install() -> None:
    """Patches moto: its services are listed once, the service of a host is found once, and the tags of one resource are looked up by its id."""
    services = tuple(moto.backends.list_of_moto_modules())
    moto.backends.list_of_moto_modules = lambda: services
    find = DomainDispatcherApplication.get_backend_for_host
    DomainDispatcherApplication.get_backend_for_host = lru_cache(HOSTS_KEPT)(find)  # type: ignore[method-assign,assignment]

    def tags(self: TaggedEC2Resource) -> list[dict[str, str]]:
        known: dict[str, str] = self.ec2_backend.tags.get(self.id, {})  # type: ignore[attr-defined]
        if not known:
            return []
        kind = EC2_PREFIX_TO_RESOURCE.get(get_prefix(self.id), "")  # type: ignore[attr-defined]
        return [{"resource_id": self.id, "key": key, "value": value, "resource_type": kind} for key, value in list(known.items())]  # type: ignore[attr-defined]

    TaggedEC2Resource.get_tags = tags  # type: ignore[method-assign]
