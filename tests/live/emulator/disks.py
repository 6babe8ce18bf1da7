"""What EC2 knows of disks and moto does not: snapshots that are shared between accounts, encrypted, copied slowly or in vain, and that have
bytes; copies of images; calls that are the same call by their token; and what is left with a tag."""

from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

from moto.core.responses import ActionResult
from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models import EC2Backend, ec2_backends
from moto.ec2.models.amis import Ami
from moto.ec2.models.elastic_block_store import Snapshot, Volume
from moto.ec2.responses.amis import AmisResponse
from moto.ec2.responses.elastic_block_store import ElasticBlockStore
from moto.ec2.responses.instances import InstanceResponse

INSTALLATION = "cloudigrade-installation"
NOT_ACCESSIBLE = "Given key ID is not accessible"


class Disks:
    """How slow AWS is, and which calls it has seen."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """As fast as it can be."""
        self.looks = 0  # descriptions of something new that say that it is not ready yet
        self.tokens: dict[tuple[str, str, str, str], Any] = {}

    def change(self, given: dict[str, Any]) -> dict[str, Any]:
        """How many looks new snapshots, volumes, copies of images and attachments take."""
        self.looks = given["looks"]
        return given

    def wait(self, thing: Any) -> None:
        """Something is new."""
        thing.looks_left = self.looks

    def once(self, what: str, response: Any, make: Any) -> Any:
        """What a call with a token gave the first time."""
        token = response._get_param("ClientToken")
        if not token:
            return make()
        key = (response.current_account, response.region, what, token)
        if key not in self.tokens:
            self.tokens[key] = make()
        return self.tokens[key]


def is_ready(thing: Any) -> bool:
    """Whether AWS is done with something, as far as whoever looks now is told."""
    left = getattr(thing, "looks_left", 0)
    thing.looks_left = max(0, left - 1)
    return left == 0


def put_disk(image: Ami, given: dict[str, Any]) -> None:
    """Sets what a test says of an image's root disk: `disk` (a file with its bytes), `size_gib`, `storage` (whether the account gets at it),
    `encrypted` (`key`: with a key that others may use, `default`: with AWS's own, `closed`: with one that neither others nor the role may
    use), `instance_store`, `copy_refusal`."""
    snapshot = image.ebs_snapshot
    snapshot.owner_id = image.owner_id
    for name in ("disk", "storage"):
        if name in given:
            setattr(snapshot, name, given[name])
    if "size_gib" in given:
        snapshot.volume.size = given["size_gib"]
    if "encrypted" in given:
        snapshot.encrypted, snapshot.key = True, given["encrypted"]
    if given.get("instance_store"):
        image.root_device_type = "instance-store"
    if "copy_refusal" in given:
        image.copy_refusal = given["copy_refusal"]


def find_snapshot(account: str, region: str, snapshot_id: str) -> Snapshot | None:
    """A snapshot that is the account's, or shared with it."""
    own = ec2_backends[account][region].snapshots.get(snapshot_id)
    if own is not None:
        return own if getattr(own, "storage", True) else None
    for backends in list(ec2_backends.values()):
        snapshot = backends[region].snapshots.get(snapshot_id) if region in backends else None
        if snapshot is not None and account in snapshot.create_volume_permission_userids:
            return snapshot
    return None


def tagged(key: str = INSTALLATION) -> list[dict[str, Any]]:
    """All that has a tag, in all accounts, and costs or stays: terminated instances are none."""
    found = []
    for account, region, backend in _backends():
        instances = [instance for reservation in backend.reservations.values() for instance in reservation.instances]
        things: list[tuple[str, Any]] = [("instance", one) for one in instances if one.state != "terminated"]
        things += [("volume", one) for one in backend.volumes.values()]
        things += [("snapshot", one) for one in backend.snapshots.values()]
        things += [("image", one) for one in backend.amis.values()]
        for kind, thing in things:
            tags = {tag["key"]: tag["value"] for tag in thing.get_tags()}
            if key in tags:
                found.append({"kind": kind, "id": thing.id, "account": account, "region": region, "tags": tags})
    return found


def shared() -> list[dict[str, Any]]:
    """All snapshots that are shared with anybody."""
    return [
        {"id": snapshot.id, "account": account, "with": sorted(snapshot.create_volume_permission_userids)}
        for account, _, backend in _backends()
        for snapshot in backend.snapshots.values()
        if snapshot.create_volume_permission_userids
    ]


def _backends() -> Iterator[tuple[str, str, EC2Backend]]:
    for account, regions in list(ec2_backends.items()):
        for region, backend in list(regions.items()):
            yield account, region, backend


def _refuse_missing(account: str, region: str, snapshot_id: str) -> Snapshot:
    snapshot = find_snapshot(account, region, snapshot_id)
    if snapshot is None:
        raise EC2ClientError("InvalidSnapshot.NotFound", f"The snapshot '{snapshot_id}' does not exist.")
    return snapshot


def _copied(disks: Disks, backend: EC2Backend, source: Snapshot, account: str, description: str, from_ami: str | None = None) -> Snapshot:
    number = next(_numbers)
    snapshot = Snapshot(backend, f"snap-{number:017x}", source.volume, description, source.encrypted, owner_id=account, from_ami=from_ami)
    snapshot.disk, key, is_others = getattr(source, "disk", None), getattr(source, "key", None), source.owner_id != account
    snapshot.fails = NOT_ACCESSIBLE if is_others and key not in (None, "key") else None
    # A copy of what others encrypted has the account's default key.
    snapshot.key = "default" if key and is_others else key
    disks.wait(snapshot)
    backend.snapshots[snapshot.id] = snapshot
    return snapshot


_numbers = count(0xC0B1ED000)


def install(disks: Disks) -> None:
    """Patches moto."""
    _install_snapshots(disks)
    _install_volumes(disks)
    _install_images(disks)
    run = InstanceResponse.run_instances
    InstanceResponse.run_instances = lambda self: disks.once("instances", self, lambda: run(self))  # type: ignore[method-assign]


def _install_snapshots(disks: Disks) -> None:
    def copy_snapshot(self: ElasticBlockStore) -> ActionResult:
        self.error_on_dryrun()
        source = _refuse_missing(self.current_account, self._get_param("SourceRegion"), self._get_param("SourceSnapshotId"))
        snapshot = _copied(disks, self.ec2_backend, source, self.current_account, self._get_param("Description"))
        snapshot.add_tags(self._parse_tag_specification().get("snapshot", {}))
        return ActionResult({"SnapshotId": snapshot.id, "Tags": snapshot.tag_set})

    describe = ElasticBlockStore.describe_snapshots

    def describe_snapshots(self: ElasticBlockStore) -> ActionResult:
        wanted = self._get_param("SnapshotIds", [])
        if wanted:
            found = [_refuse_missing(self.current_account, self.region, one) for one in wanted]
        else:
            found = [one for one in describe(self).result["Snapshots"] if one.owner_id == self.current_account]
        for one in found:
            why = getattr(one, "fails", None)
            one.status = ("error" if why else "completed") if is_ready(one) else "pending"
            one.state, one.state_message = one.status, why if one.status == "error" else None
        return ActionResult({"Snapshots": found})

    modify = ElasticBlockStore.modify_snapshot_attribute

    def modify_snapshot_attribute(self: ElasticBlockStore) -> ActionResult:
        snapshot = self.ec2_backend.snapshots.get(self._get_param("SnapshotId"))
        if snapshot is None or snapshot.owner_id != self.current_account:
            raise EC2ClientError("InvalidSnapshot.NotFound", f"The snapshot '{self._get_param('SnapshotId')}' does not exist.")
        if getattr(snapshot, "key", None) == "default":
            raise EC2ClientError("OperationNotPermitted", "Encrypted snapshots with EBS default key cannot be shared")
        return modify(self)

    ElasticBlockStore.copy_snapshot = copy_snapshot  # type: ignore[method-assign]
    ElasticBlockStore.describe_snapshots = describe_snapshots  # type: ignore[method-assign]
    ElasticBlockStore.modify_snapshot_attribute = modify_snapshot_attribute  # type: ignore[method-assign]


def _install_volumes(disks: Disks) -> None:
    create = ElasticBlockStore.create_volume

    def create_volume(self: ElasticBlockStore) -> ActionResult:
        def make() -> ActionResult:
            source = self._get_param("SnapshotId")
            snapshot = _refuse_missing(self.current_account, self.region, source) if source else None
            if snapshot is not None and getattr(snapshot, "looks_left", 0):
                raise EC2ClientError("IncorrectState", f"Snapshot is in invalid state - pending: {source}")
            made = create(self)
            made.result.disk = getattr(snapshot, "disk", None)
            disks.wait(made.result)
            made.result.is_creating = disks.looks > 0
            return made

        return disks.once("volume", self, make)

    status = Volume.status

    def slow_status(self: Volume) -> str:
        return "creating" if getattr(self, "is_creating", False) else status.fget(self)  # type: ignore[attr-defined]

    Volume.status = property(slow_status)  # type: ignore[method-assign,assignment]
    describe, attach = ElasticBlockStore.describe_volumes, EC2Backend.attach_volume

    def describe_volumes(self: ElasticBlockStore) -> ActionResult:
        told = describe(self)
        for volume in told.result["Volumes"]:
            volume.is_creating = not is_ready(volume)
            if volume.attachment is not None:
                volume.attachment.status = "attached" if is_ready(volume.attachment) else "attaching"
        return told

    def attach_volume(self: EC2Backend, volume_id: str, instance_id: str, *args: Any, **kwargs: Any) -> Any:
        volume, instance = self.get_volume(volume_id), self.get_instance(instance_id)
        if volume.attachment is not None:
            raise EC2ClientError("VolumeInUse", f"{volume_id} is already attached to an instance")
        if instance.state != "running" and volume.snapshot_id:
            raise EC2ClientError("IncorrectState", f"Instance '{instance_id}' is not 'running'.")
        attachment = attach(self, volume_id, instance_id, *args, **kwargs)
        disks.wait(attachment)
        attachment.status = "attaching" if disks.looks else "attached"
        return attachment

    ElasticBlockStore.create_volume = create_volume  # type: ignore[method-assign]
    ElasticBlockStore.describe_volumes = describe_volumes  # type: ignore[method-assign]
    EC2Backend.attach_volume = attach_volume  # type: ignore[method-assign]


def _install_images(disks: Disks) -> None:
    def copy_image(self: AmisResponse) -> ActionResult:
        def make() -> ActionResult:
            self.error_on_dryrun()
            backend, source_id = self.ec2_backend, self._get_param("SourceImageId")
            source = ec2_backends[self.current_account][self._get_param("SourceRegion")].describe_images(ami_ids=[source_id])[0]
            if refusal := getattr(source, "copy_refusal", None):
                raise EC2ClientError(refusal["code"], refusal["message"])
            if not getattr(source.ebs_snapshot, "storage", True):
                raise EC2ClientError("InvalidRequest", "You do not have permission to access the storage of this ami")
            image = backend.copy_image(source_id, self._get_param("SourceRegion"), self._get_param("Name"), self._get_param("Description"))
            # The snapshot that moto makes of its own for each image.
            backend.snapshots.pop(image.ebs_snapshot.id)
            image.root_device_type = source.root_device_type
            # Moto does not tell what an image is a copy of.
            image.source_image_id, image.source_image_region = source_id, self._get_param("SourceRegion")
            image.ebs_snapshot = _copied(disks, backend, source.ebs_snapshot, self.current_account, f"Copied for {image.id}", image.id)
            image.looks_left, image.ebs_snapshot.looks_left = image.ebs_snapshot.looks_left, 0
            image.fails, image.ebs_snapshot.fails = image.ebs_snapshot.fails, None
            tags = self._parse_tag_specification()
            image.add_tags(tags.get("image", {}))
            image.ebs_snapshot.add_tags(tags.get("snapshot", {}))
            return ActionResult({"ImageId": image.id})

        return disks.once("image", self, make)

    describe = AmisResponse.describe_images

    def describe_images(self: AmisResponse) -> ActionResult:
        told = describe(self)
        for image in told.result["Images"]:
            if hasattr(image, "looks_left"):
                image.state = ("failed" if image.fails else "available") if is_ready(image) else "pending"
                image.state_reason = {"Code": "Client.InternalError", "Message": image.fails} if image.state == "failed" else None
        return told

    def block_device_mappings(self: Ami) -> list[dict[str, Any]]:
        if self.root_device_type == "instance-store":
            return []
        snapshot = self.ebs_snapshot
        ebs = {"SnapshotId": snapshot.id, "VolumeSize": snapshot.volume.size, "VolumeType": "gp3", "Encrypted": snapshot.encrypted, "DeleteOnTermination": True}
        return [{"DeviceName": self.root_device_name, "Ebs": ebs}]

    AmisResponse.copy_image = copy_image  # type: ignore[method-assign]
    AmisResponse.describe_images = describe_images  # type: ignore[method-assign]
    Ami.block_device_mappings = property(block_device_mappings)  # type: ignore[method-assign,assignment]


def content(account: str, region: str, snapshot_id: str) -> Path | None:
    """The bytes of a snapshot that an account gets at; `None` where it gets at none."""
    snapshot = find_snapshot(account, region, snapshot_id)
    if snapshot is None or getattr(snapshot, "key", None) == "closed":
        return None
    disk = getattr(snapshot, "disk", None)
    return Path(disk) if disk else None
