"""From an unseen image to RHEL hours in the report: its disk is read by a scanner or straight from its snapshot, and nothing is left that costs.

What is on the disk is found by the real houndigrade; the scanner's instance is the emulator's, which runs the real user data."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import lookalike
import pytest
from aws import HUB, OTHER_REGION, REGION, Aws, TrailBucket, until
from inspecting import INSPECTED_SECONDS, Inspecting
from program import FAILED, NO_INPUT, USAGE, Program

OTHERS = "444455556666"


@pytest.fixture
def inspecting(aws: Aws, bucket: TrailBucket, program: Program, account: str, tmp_path: Path) -> Iterator[Inspecting]:
    """An installation, not started."""
    yield Inspecting(aws, bucket, program, account, tmp_path)


def rhel_hours(inspecting: Inspecting) -> float:
    rows = inspecting.program.report("2024-03-01", "2024-03-02", by="account,rhel", granularity="day")
    return sum(row["runtime_seconds"] for row in rows if row["account_id"] == inspecting.account and row["rhel"] in ("yes", True)) / 3600


def test_an_unseen_image_is_inspected_once_and_its_hours_are_in_the_report(inspecting: Inspecting, tmp_path: Path) -> None:
    aws, image = inspecting.aws, "ami-0ee0ee0ee0ee0ee01"
    aws.admin("disks", {"looks": 1})
    inspecting.image(image, lookalike.disk(tmp_path, "rhel", lookalike.RHEL))
    inspecting.start()
    inspecting.use(image)
    inspecting.use(image)
    row = inspecting.become({image: ("inspected", True)})[image]
    assert (row["rhel"], row["rhel_version"], row["billing_model"]) == (True, "9.4", "byos")
    assert "inspection" in {evidence["kind"] for evidence in json.loads(row["evidence"])}
    inspecting.leaves_nothing()
    until("the hours in the report", lambda: rhel_hours(inspecting) == 6.0)
    assert inspecting.scanners() == [[image]]
    assert (inspecting.made("CopySnapshot"), inspecting.made("CreateVolume"), inspecting.made("CopyImage")) == (1, 1, 0)


def test_images_of_every_kind_get_the_status_the_reason_and_nothing_left(inspecting: Inspecting, tmp_path: Path) -> None:
    kinds = {name: f"ami-0ff0ff0ff0ff0f{number:03d}" for number, name in enumerate(
        ("own", "shared", "no_storage", "community", "marketplace", "billing", "default_key", "closed_key", "open_key", "stored", "failed",
         "pending", "ntfs", "garbage", "debian", "gone")
    )}  # fmt: skip
    rhel = lookalike.disk(tmp_path, "rhel", lookalike.RHEL)
    refusal = {"code": "InvalidRequest"}
    inspecting.image(kinds["own"], rhel)
    inspecting.image(kinds["shared"], rhel, owner_id=OTHERS)
    inspecting.image(kinds["no_storage"], rhel, owner_id=OTHERS, storage=False)
    inspecting.image(kinds["community"], rhel, owner_id=OTHERS, storage=False, public=True)
    sold = "Images from AWS Marketplace cannot be copied to another AWS account"
    inspecting.image(kinds["marketplace"], rhel, owner_id=OTHERS, copy_refusal={**refusal, "message": sold})
    billed = "Images with EC2 BillingProduct codes cannot be copied to another AWS account."
    inspecting.image(kinds["billing"], rhel, owner_id=OTHERS, copy_refusal={**refusal, "message": billed})
    inspecting.image(kinds["default_key"], rhel, encrypted="default")
    inspecting.image(kinds["closed_key"], rhel, encrypted="closed")
    inspecting.image(kinds["open_key"], rhel, encrypted="key")
    inspecting.image(kinds["stored"], instance_store=True)
    inspecting.image(kinds["failed"], rhel, state="failed")
    inspecting.image(kinds["pending"], rhel, state="pending")
    inspecting.image(kinds["ntfs"], lookalike.ntfs(tmp_path, "ntfs"))
    inspecting.image(kinds["garbage"], lookalike.garbage(tmp_path, "garbage"))
    inspecting.image(kinds["debian"], lookalike.disk(tmp_path, "debian", lookalike.DEBIAN))
    inspecting.start()
    for image in kinds.values():
        inspecting.use(image)

    wanted: dict[str, tuple[str, bool | None]] = {
        "own": ("inspected", True),
        "shared": ("inspected", True),
        "no_storage": ("error", None),
        "community": ("inspected", None),
        "marketplace": ("inspected", None),
        "billing": ("inspected", None),
        "default_key": ("error", None),
        "closed_key": ("error", None),
        "open_key": ("inspected", True),
        "stored": ("error", None),
        "failed": ("error", None),
        "ntfs": ("inspected", False),
        "garbage": ("inspected", False),
        "debian": ("inspected", False),
        "gone": ("unavailable", None),
    }
    rows = inspecting.become({kinds[name]: told for name, told in wanted.items()})
    assert all(row["status_reason"] for row in rows.values())
    assert all(rows[kinds[name]]["is_marketplace"] for name in ("community", "marketplace", "billing"))
    assert inspecting.images(kinds["pending"])[kinds["pending"]]["status"] in ("pending", "preparing")
    inspecting.image(kinds["pending"], state="available")
    inspecting.become({kinds["pending"]: ("inspected", True)})
    inspecting.leaves_nothing()
    read = [image for images in inspecting.scanners() for image in images]
    assert sorted(read) == sorted(kinds[name] for name in ("own", "shared", "open_key", "ntfs", "garbage", "debian", "pending"))
    assert inspecting.made("CopyImage") == 1
    nothing_but_what_policies_allow_is_called(inspecting)


def actions(document: dict) -> set[str]:
    return {action for statement in document["Statement"] for action in statement["Action"] if action.startswith("ec2:")}


def nothing_but_what_policies_allow_is_called(inspecting: Inspecting) -> None:
    """And policies allow hardly more: tags are set by other calls, and what ends by itself need not be ended."""
    called = {where: {f"ec2:{call['action']}" for call in inspecting.aws.calls(service="ec2", account=where)} for where in (HUB, inspecting.account)}
    service = actions(json.loads(inspecting.program.accounts("policy", "--for", "service").stdout))
    assert called[HUB] <= service and service - called[HUB] <= {"ec2:CreateTags", "ec2:TerminateInstances", "ec2:DeleteVolume"}
    role = actions(json.loads(inspecting.program.accounts("policy", "--with-disks").stdout)["PermissionsPolicy"])
    # The test itself runs instances there.
    theirs = called[inspecting.account] - {"ec2:RunInstances", "ec2:TerminateInstances"}
    assert theirs <= role and role - theirs <= {"ec2:CreateTags"}


def test_who_has_an_image_inspected_again_is_told_the_cost_and_asked_before_anything_is_agreed_to(
    inspecting: Inspecting, tmp_path: Path
) -> None:
    image, program = "ami-0ee0ee0ee0ee0ee0a", inspecting.program
    inspecting.image(image, lookalike.disk(tmp_path, "rhel", lookalike.RHEL))
    inspecting.start(consent=True)
    inspecting.use(image)

    def waiting() -> list[str]:
        return [row["id"] for row in program.rows("inspections", "list") if (row["image_id"], row["state"]) == (image, "awaiting_consent")]

    [inspection] = until("an inspection that waits for consent", waiting, INSPECTED_SECONDS)
    asked = program.run("inspections", "retry", inspection[:12], expect=USAGE)
    assert b"AWS will charge about $" in asked.stderr and b"--yes" in asked.stderr
    assert waiting() == [inspection]
    program.run("inspections", "retry", inspection, "--yes")
    inspecting.become({image: ("inspected", True)})
    inspecting.leaves_nothing()
    assert [row["id"] for row in program.rows("inspections", "list", "--all") if row["image_id"] == image] == [inspection]
    assert b"no inspection" in program.run("inspections", "show", "0" * 31, expect=NO_INPUT).stderr
    # Nobody can be asked for the disk of an image that EC2 did not describe.
    unseen = "ami-0ee0ee0ee0ee0ee0b"
    program.run("images", "override", unseen, "--product", "rhel", "--is", "none", "--region", REGION)
    refused = program.run("images", "inspect", unseen, "--yes", expect=FAILED)
    assert b"EC2 has described" in refused.stderr and b"is inspected, while" not in refused.stderr


def test_a_disk_is_read_straight_from_its_snapshot_with_nothing_made(inspecting: Inspecting, tmp_path: Path) -> None:
    image, disk = "ami-0ee0ee0ee0ee0ee02", lookalike.disk(tmp_path, "rhel", lookalike.RHEL, mib=10 << 10, packages=500)
    inspecting.image(image, disk, size_gib=10)
    inspecting.start("ebs-direct", scanner=False)
    begin = time.monotonic()
    inspecting.use(image)
    row = inspecting.become({image: ("inspected", True)})[image]
    assert row["rhel_version"] == "9.4"
    blocks, listings = inspecting.made("GetSnapshotBlock"), inspecting.made("ListSnapshotBlocks")
    assert 0 < blocks < 200 and 0 < listings < 30, f"{blocks} blocks, {listings} listings"
    print(f"10 GiB, sparse: {blocks} blocks and {listings} listings in {time.monotonic() - begin:.1f} s")
    assert [inspecting.made(action) for action in ("CopySnapshot", "CopyImage", "CreateVolume", "ModifySnapshotAttribute")] == [0, 0, 0, 0]
    assert inspecting.scanners() == []
    assert inspecting.left() == []


def test_what_cannot_be_read_directly_is_read_by_a_scanner(inspecting: Inspecting, tmp_path: Path) -> None:
    image = "ami-0ee0ee0ee0ee0ee03"
    inspecting.image(image, lookalike.disk(tmp_path, "rhel", lookalike.RHEL))
    refused = {"code": "AccessDeniedException", "status": 403, "message": "You do not have permission to access this snapshot."}
    inspecting.aws.fault(service="ebs", action="ListSnapshotBlocks", count=None, **refused)
    inspecting.start("ebs-direct")
    inspecting.use(image)
    inspecting.become({image: ("inspected", True)})
    inspecting.leaves_nothing()
    assert inspecting.scanners() == [[image]]


def test_blocks_that_come_damaged_or_late_are_asked_for_again(inspecting: Inspecting, tmp_path: Path) -> None:
    image = "ami-0ee0ee0ee0ee0ee04"
    inspecting.image(image, lookalike.disk(tmp_path, "rhel", lookalike.RHEL))
    for rule in (
        {"action": "ListSnapshotBlocks", "code": "RequestThrottledException", "status": 400},
        {"action": "GetSnapshotBlock", "code": "InternalServerException", "status": 500},
        {"action": "GetSnapshotBlock", "truncate": 1000},
        {"action": "GetSnapshotBlock", "lose_reply": True},
    ):
        inspecting.aws.fault(service="ebs", **rule)
    inspecting.start("ebs-direct", scanner=False)
    inspecting.use(image)
    inspecting.become({image: ("inspected", True)})


def test_a_scanner_that_dies_is_removed_and_another_one_reads(inspecting: Inspecting, tmp_path: Path) -> None:
    aws, image = inspecting.aws, "ami-0ee0ee0ee0ee0ee07"
    aws.admin("scanners", {"mode": "dies"})
    inspecting.image(image, lookalike.disk(tmp_path, "rhel", lookalike.RHEL))
    inspecting.start(retry_after="1s", scan_limit="60s")
    inspecting.use(image)
    until("a scanner", lambda: inspecting.scanners(), 120)
    aws.admin("scanners", {"mode": "xen"})
    inspecting.become({image: ("inspected", True)}, seconds=900)
    inspecting.leaves_nothing()
    assert inspecting.scanners() == [[image]] * 2


def test_an_image_in_another_region_is_read_where_scanners_are(inspecting: Inspecting, tmp_path: Path) -> None:
    image = "ami-0ee0ee0ee0ee0ee08"
    disk = lookalike.disk(tmp_path, "rhel", lookalike.RHEL)
    inspecting.aws.admin("images", {"account": inspecting.account, "region": OTHER_REGION, "id": image, "disk": str(disk), "size_gib": 1})
    inspecting.start()
    cloud = inspecting.cloud
    cloud.region = OTHER_REGION
    cloud.run("2024-03-01T10:00:00Z", image=image)
    inspecting.become({image: ("inspected", True)})
    inspecting.leaves_nothing()
    copies = [call for call in inspecting.aws.calls(action="CopySnapshot") if call["status"] == 200]
    assert [(call["region"], call["params"]["SourceRegion"]) for call in copies] == [(REGION, OTHER_REGION)]


def test_a_copy_of_an_image_in_another_region_shares_its_verdict_and_is_not_read(inspecting: Inspecting, tmp_path: Path) -> None:
    image = inspecting.image("ami-0cc0cc0cc0cc0cc09", lookalike.disk(tmp_path, "rhel", lookalike.RHEL))
    inspecting.start()
    inspecting.use(image)
    inspecting.become({image: ("inspected", True)})
    elsewhere = inspecting.cloud
    elsewhere.region = OTHER_REGION
    ec2 = inspecting.aws.client("ec2", inspecting.account, OTHER_REGION)
    copy = ec2.copy_image(SourceImageId=image, SourceRegion=REGION, Name="the same elsewhere")["ImageId"]
    elsewhere.run("2024-03-01T10:00:00Z", image=copy)
    inspecting.become({copy: ("inspected", True)})
    inspecting.leaves_nothing()
    assert inspecting.scanners() == [[image]]
    listed = json.loads(inspecting.program.run("inspections", "list", "--all", "--format", "json").stdout)
    (inspection,) = [one["id"] for one in listed if one["image_id"] == copy]
    told = json.loads(inspecting.program.run("inspections", "show", inspection, "--format", "json").stdout)
    assert told["disk"]["copy_of"] == {"image_id": image, "region": REGION}
