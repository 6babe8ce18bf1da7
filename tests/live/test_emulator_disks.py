"""The emulator's disks do what tests of inspections ask of them. boto3 is the judge."""

import base64
import hashlib
from pathlib import Path

import lookalike
import pytest
from aws import HUB, REGION, Aws, until
from botocore.exceptions import ClientError
from conftest import new_account

IMAGE = "ami-0dd0dd0dd0dd0dd01"
BLOCK = 512 << 10
TAGS = [{"Key": "cloudigrade-installation", "Value": "emulator"}]


def put(aws: Aws, account: str, image: str = IMAGE, **how: object) -> str:
    """An image, and the id of its snapshot."""
    return aws.admin("images", {"account": account, "region": REGION, "id": image, **how})["snapshot"]


def tags(kind: str) -> list[dict]:
    return [{"ResourceType": kind, "Tags": TAGS}]


def left(aws: Aws) -> list[str]:
    return sorted(one["kind"] for one in aws.admin("tagged", method="GET") if one["tags"]["cloudigrade-installation"] == "emulator")


def test_a_snapshot_is_copied_by_others_only_while_it_is_shared(aws: Aws, account: str) -> None:
    snapshot = put(aws, account, size_gib=3)
    own, theirs = aws.client("ec2"), aws.client("ec2", account)
    copy = {"SourceRegion": REGION, "SourceSnapshotId": snapshot, "TagSpecifications": tags("snapshot")}
    with pytest.raises(ClientError, match="InvalidSnapshot.NotFound"):
        own.copy_snapshot(**copy)
    share = {"SnapshotId": snapshot, "Attribute": "createVolumePermission", "UserIds": [HUB]}
    theirs.modify_snapshot_attribute(OperationType="add", **share)
    copied = own.copy_snapshot(**copy)["SnapshotId"]
    assert [one["id"] for one in aws.admin("shared", method="GET") if one["account"] == account] == [snapshot]
    theirs.modify_snapshot_attribute(OperationType="remove", **share)
    with pytest.raises(ClientError, match="InvalidSnapshot.NotFound"):
        own.describe_snapshots(SnapshotIds=[snapshot])
    told = own.describe_snapshots(SnapshotIds=[copied])["Snapshots"][0]
    assert (told["State"], told["VolumeSize"], told["OwnerId"], left(aws)) == ("completed", 3, HUB, ["snapshot"])
    own.delete_snapshot(SnapshotId=copied)
    assert left(aws) == []


def test_new_things_are_not_ready_for_as_many_looks_as_are_asked_for(aws: Aws, account: str) -> None:
    put(aws, account)
    ec2 = aws.client("ec2", account)
    aws.admin("disks", {"looks": 2})
    image = ec2.copy_image(SourceImageId=IMAGE, SourceRegion=REGION, Name="copy")["ImageId"]
    assert [ec2.describe_images(ImageIds=[image])["Images"][0]["State"] for _ in range(3)] == ["pending", "pending", "available"]
    snapshot = ec2.describe_images(ImageIds=[image])["Images"][0]["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"]
    copy = ec2.copy_snapshot(SourceRegion=REGION, SourceSnapshotId=snapshot)["SnapshotId"]
    with pytest.raises(ClientError, match="IncorrectState"):
        ec2.create_volume(SnapshotId=copy, AvailabilityZone="us-east-1b")
    assert [ec2.describe_snapshots(SnapshotIds=[copy])["Snapshots"][0]["State"] for _ in range(3)] == ["pending", "pending", "completed"]
    volume = ec2.create_volume(SnapshotId=copy, AvailabilityZone="us-east-1b")["VolumeId"]
    assert [ec2.describe_volumes(VolumeIds=[volume])["Volumes"][0]["State"] for _ in range(3)] == ["creating", "creating", "available"]


def test_a_call_with_a_token_is_the_same_call_when_it_is_repeated(aws: Aws, account: str) -> None:
    put(aws, account)
    ec2 = aws.client("ec2", account)
    instances = [ec2.run_instances(ImageId=IMAGE, MinCount=1, MaxCount=1, ClientToken=token)["Instances"][0]["InstanceId"] for token in ("a", "a", "b")]
    volumes = [ec2.create_volume(Size=1, AvailabilityZone="us-east-1b", ClientToken="a")["VolumeId"] for _ in range(2)]
    images = [ec2.copy_image(SourceImageId=IMAGE, SourceRegion=REGION, Name="copy", ClientToken="a")["ImageId"] for _ in range(2)]
    assert (len(set(instances)), instances[0] == instances[1], len(set(volumes)), len(set(images))) == (2, True, 1, 1)


def test_storage_and_keys_that_are_closed_are_refused_in_awss_words(aws: Aws, account: str) -> None:
    ec2 = aws.client("ec2", account)
    closed = put(aws, account, owner_id="111122223333", storage=False)
    with pytest.raises(ClientError, match="You do not have permission to access the storage of this ami"):
        ec2.copy_image(SourceImageId=IMAGE, SourceRegion=REGION, Name="copy")
    with pytest.raises(ClientError, match="InvalidSnapshot.NotFound"):
        ec2.describe_snapshots(SnapshotIds=[closed])
    snapshot = put(aws, account, "ami-0dd0dd0dd0dd0dd02", encrypted="default")
    with pytest.raises(ClientError, match="Encrypted snapshots with EBS default key cannot be shared"):
        ec2.modify_snapshot_attribute(SnapshotId=snapshot, Attribute="createVolumePermission", OperationType="add", UserIds=[HUB])
    snapshot = put(aws, account, "ami-0dd0dd0dd0dd0dd03", encrypted="closed")
    ec2.modify_snapshot_attribute(SnapshotId=snapshot, Attribute="createVolumePermission", OperationType="add", UserIds=[HUB])
    copy = aws.client("ec2").copy_snapshot(SourceRegion=REGION, SourceSnapshotId=snapshot)["SnapshotId"]
    told = aws.client("ec2").describe_snapshots(SnapshotIds=[copy])["Snapshots"][0]
    assert (told["State"], told["StateMessage"]) == ("error", "Given key ID is not accessible")


def test_blocks_of_a_snapshot_are_those_of_its_file_and_holes_are_none(aws: Aws, account: str, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    with disk.open("wb") as file:
        file.truncate(1 << 30)
        for index in (1, 700, 2047):
            file.seek(index * BLOCK)
            file.write(bytes([index % 250 + 1]) * 4096)
    snapshot = put(aws, account, disk=str(disk), size_gib=1)
    ebs = aws.client("ebs", account)
    told = ebs.list_snapshot_blocks(SnapshotId=snapshot, StartingBlockIndex=2, MaxResults=100)
    assert ([one["BlockIndex"] for one in told["Blocks"]], told["BlockSize"], told["VolumeSize"]) == ([700, 2047], BLOCK, 1)
    block = ebs.get_snapshot_block(SnapshotId=snapshot, BlockIndex=700, BlockToken=told["Blocks"][0]["BlockToken"])
    data = block["BlockData"].read()
    assert (data[:4096], len(data)) == (bytes([201]) * 4096, BLOCK)
    assert block["Checksum"] == base64.b64encode(hashlib.sha256(data).digest()).decode()
    for broken in ({"BlockIndex": 2047, "BlockToken": told["Blocks"][0]["BlockToken"]}, {"BlockIndex": 5, "BlockToken": "x"}):
        with pytest.raises(ClientError, match="ValidationException"):
            ebs.get_snapshot_block(SnapshotId=snapshot, **broken)
    with pytest.raises(ClientError, match="AccessDeniedException"):
        aws.client("ebs", new_account()).list_snapshot_blocks(SnapshotId=snapshot)
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        ebs.list_snapshot_blocks(SnapshotId="snap-00000000000000000")
    aws.fault(service="ebs", action="ListSnapshotBlocks", code="RequestThrottledException", status=400)
    with pytest.raises(ClientError, match="RequestThrottledException"):
        ebs.list_snapshot_blocks(SnapshotId=snapshot)


def test_a_lookalike_disk_has_a_file_system_and_is_mostly_holes(tmp_path: Path) -> None:
    disk = lookalike.disk(tmp_path, "rhel", lookalike.RHEL, mib=1024)
    assert disk.stat().st_size == 1 << 30
    assert disk.stat().st_blocks * 512 < 40 << 20


def test_other_instances_than_scanners_do_nothing_with_their_user_data(aws: Aws, account: str) -> None:
    before = len(aws.admin("scanners", method="GET"))
    instance = aws.run(account)[0]
    until("it runs", lambda: aws.client("ec2", account).describe_instances(InstanceIds=[instance])["Reservations"])
    assert len(aws.admin("scanners", method="GET")) == before


def test_a_scanner_that_stays_on_is_ended_by_whoever_started_it(aws: Aws, account: str) -> None:
    aws.admin("scanners", {"mode": "stays"})
    script = "#!/bin/sh\n# cloudigrade:\ndevices=x\nblocks=x\nprogram=x\nshutdown -h now\n"
    ec2 = aws.client("ec2", account)
    wanted = {"ImageId": IMAGE, "InstanceType": "t3.small", "MinCount": 1, "MaxCount": 1, "UserData": script}

    def run() -> str:
        return ec2.run_instances(**wanted)["Instances"][0]["InstanceId"]

    def state(instance: str) -> str:
        return ec2.describe_instances(InstanceIds=[instance])["Reservations"][0]["Instances"][0]["State"]["Name"]

    stays = run()
    aws.admin("scanners", {"mode": "works"})
    works = run()
    until("the other one to turn itself off", lambda: state(works) == "terminated")
    assert state(stays) == "running"
    ec2.terminate_instances(InstanceIds=[stays])
    assert state(stays) == "terminated"
