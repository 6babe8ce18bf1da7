"""What EC2 can be in and moto's cannot: instances that changed by themselves or vanished, launch times of the test's choice, images with all
that is told of them, few regions."""

from datetime import datetime, timezone
from typing import Any

from moto.core.responses import ActionResult
from moto.ec2.models import ec2_backends
from moto.ec2.models.amis import Ami
from moto.ec2.models.availability_zones_and_regions import Region
from moto.ec2.models.instances import Instance, InstanceState, StateReason
from moto.ec2.responses.availability_zones_and_regions import AvailabilityZonesAndRegions

from .disks import put_disk

STATES = {"pending": 0, "running": 16, "shutting-down": 32, "terminated": 48, "stopping": 64, "stopped": 80}
IMAGE_FIELDS = ("owner_id", "owner_alias", "name", "platform", "platform_details", "usage_operation", "architecture", "state")


# When EC2 does what it is asked for next, by account. Without an entry: now.
CLOCKS: dict[str, str] = {}


class NotThere(LookupError):
    """What a test named is not there."""


def change_instance(given: dict[str, Any]) -> dict[str, Any]:
    """Sets what is given of `state`, `reason`, `state_reason`, `launch_time`, `instance_type`, `lifecycle`, `platform_details`,
    `usage_operation`; with `vanish` the instance is described no more."""
    backend = ec2_backends[given["account"]][given["region"]]
    holder = next((r for r in backend.reservations.values() if any(i.id == given["id"] for i in r.instances)), None)
    if holder is None:
        raise NotThere(f"there is no instance {given['id']} in {given['account']} {given['region']}")
    instance = next(i for i in holder.instances if i.id == given["id"])
    if given.get("vanish"):
        holder.instances.remove(instance)
        if not holder.instances:
            del backend.reservations[holder.id]
        return {"id": instance.id}
    if "new_id" in given:
        instance.id = given["new_id"]
    if "state" in given:
        instance._state.name, instance._state.code = given["state"], STATES[given["state"]]
    if "reason" in given:
        instance._reason = given["reason"]
    if "state_reason" in given:
        instance.state_reason = StateReason(given["state_reason"].get("message", ""), given["state_reason"].get("code", ""))
    if "launch_time" in given:
        instance.launch_time = moment(given["launch_time"])
    for name in ("instance_type", "lifecycle", "platform_details", "usage_operation"):
        if name in given:
            setattr(instance, name, given[name])
    return {"id": instance.id, "state": instance.state}


def moment(text: str) -> datetime:
    """`2024-03-01T10:00:00Z`, as moto keeps times."""
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc).replace(tzinfo=None)


def put_image(given: dict[str, Any]) -> dict[str, Any]:
    """Makes or changes an image as an account sees it, its root disk included (`put_disk`); with `vanish` it sees it no more."""
    backend = ec2_backends[given["account"]][given["region"]]
    if given.get("vanish"):
        backend.amis.pop(given["id"], None)
        return {"id": given["id"]}
    image = backend.amis.get(given["id"])
    if image is None:
        image = Ami(backend, given["id"], name=given.get("name", given["id"]), architecture="x86_64", root_device_type="ebs")
        backend.amis[given["id"]] = image
    for name in IMAGE_FIELDS:
        if name in given:
            setattr(image, name, given[name])
    if "product_codes" in given:
        pairs = [code.split(":") for code in given["product_codes"]]
        image.product_codes = [{"ProductCodeType": kind, "ProductCodeId": code} for kind, code in pairs]
    if "public" in given:
        image.launch_permissions = [{"Group": "all"}] if given["public"] else []
    image.add_tags(given.get("tags", {}))
    put_disk(image, given)
    return {"id": image.id, "snapshot": image.ebs_snapshot.id}


def set_clock(given: dict[str, Any]) -> dict[str, Any]:
    """The time at which an account's instances are launched, started, stopped and terminated from now on; null for the real one."""
    if given["at"] is None:
        CLOCKS.pop(given["account"], None)
    else:
        CLOCKS[given["account"]] = given["at"]
    return given


def _install_clock() -> None:
    """Launch times, which moto leaves alone at a start; and the reasons of stops in AWS's own form, which moto does not have."""
    make, start, stop, terminate = Instance.__init__, Instance.start, Instance.stop, Instance.terminate

    def now(instance: Instance) -> datetime:
        at = CLOCKS.get(instance.owner_id)
        return moment(at) if at else datetime.now(timezone.utc).replace(microsecond=0, tzinfo=None)

    def made(self: Instance, *args: Any, **kwargs: Any) -> None:
        make(self, *args, **kwargs)
        self.launch_time = now(self)

    def started(self: Instance) -> InstanceState:
        self.launch_time = now(self)
        return start(self)

    def ended(how: Any) -> Any:
        def end(self: Instance) -> InstanceState:
            before = how(self)
            self._reason = f"User initiated ({now(self):%Y-%m-%d %H:%M:%S} GMT)"
            return before

        return end

    Instance.__init__, Instance.start = made, started  # type: ignore[method-assign]
    Instance.stop, Instance.terminate = ended(stop), ended(terminate)  # type: ignore[method-assign]


def install(regions: list[str], closed: list[str]) -> None:
    """Only a few regions: each has to be looked at, and one account has dozens. The closed ones are those that were not opted in."""

    _install_clock()

    def describe_regions(self: AvailabilityZonesAndRegions) -> ActionResult:
        self.error_on_dryrun()
        shown = [Region(name, f"ec2.{name}.amazonaws.com", "opt-in-not-required") for name in regions]
        if str(self._get_param("AllRegions", False)).lower() == "true":
            shown += [Region(name, f"ec2.{name}.amazonaws.com", "not-opted-in") for name in closed]
        named = self._get_param("RegionNames", [])
        wanted = self._filters_from_querystring().get("opt-in-status")
        shown = [r for r in shown if (not named or r.name in named) and (not wanted or r.opt_in_status in wanted)]
        told = [{"RegionName": r.name, "Endpoint": r.endpoint, "OptInStatus": r.opt_in_status} for r in shown]
        return ActionResult({"Regions": told})

    AvailabilityZonesAndRegions.describe_regions = describe_regions  # type: ignore[method-assign]
