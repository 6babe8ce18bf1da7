"""What is known of machine images: what EC2 says of them, that it says nothing, their tags; and what follows from that."""

import json

import trail
from aws import OTHER_REGION, REGION, Aws, TrailBucket, until
from cloud import Cloud
from program import Program

AT = "2024-03-01T10:00:00Z"


def facts(program: Program, image: str) -> dict[str, dict]:
    """The facts about an image, by their names."""
    rows = program.sql(f"SELECT * FROM image_facts WHERE image_id = '{image}'")
    return {row["fact"]: {**row, "value": json.loads(row["value"])} for row in rows}


def images(program: Program, *images: str) -> dict[str, dict]:
    """Images as they stand, by their ids."""
    named = ", ".join(f"'{image}'" for image in images)
    return {row["image_id"]: row for row in program.sql(f"SELECT * FROM images WHERE image_id IN ({named})")}


def test_images_of_instances_are_described_with_their_billing_code_and_missing_ones_are_unavailable(
    aws: Aws, bucket: TrailBucket, program: Program, account: str
) -> None:
    rhel, gone = "ami-0bb0bb0bb0bb0bb01", "ami-0bb0bb0bb0bb0bb02"
    told = {"name": "RHEL-9", "owner_id": "309956199498", "platform_details": "Red Hat Enterprise Linux", "usage_operation": "RunInstances:0010"}
    aws.admin("images", {"account": account, "region": REGION, "id": rhel, "architecture": "arm64", "product_codes": ["marketplace:abc"], **told})
    program.configure(bucket).start()
    cloud = Cloud(aws, bucket, account)
    cloud.run(AT, told=False, image=rhel)
    cloud.run(AT, told=False, image=gone)
    program.enroll(aws, account)
    known = until("what EC2 says", lambda: (found := facts(program, rhel)) and "metadata" in found and found["metadata"])
    assert known["kind"] == "metadata"
    wanted = {"architecture": "arm64", "product_codes": ["marketplace:abc"], **told}
    assert {name: known["value"][name] for name in wanted} == wanted
    missing = until("what EC2 does not say", lambda: facts(program, gone).get(f"unavailable/{account}"))
    assert (missing["kind"], missing["value"]) == ("unavailable", {"account_id": account, "over": False})


def test_the_images_of_launches_that_only_the_logs_tell_of_are_described_too(aws: Aws, bucket: TrailBucket, program: Program, account: str) -> None:
    program.configure(bucket, accounts={"reconcile_every": "2s"}).start()
    program.enroll(aws, account)
    image = "ami-0bb0bb0bb0bb0bb03"
    aws.admin("images", {"account": account, "region": REGION, "id": image, "name": "short-lived"})
    cloud = Cloud(aws, bucket, account)
    ids = cloud.run(AT, image=image)
    cloud.stop(ids, "2024-03-01T11:00:00Z", terminate=True)
    known = until("what EC2 says", lambda: facts(program, image).get("metadata"))
    assert known["value"]["name"] == "short-lived"


def test_the_images_of_instances_that_ec2_never_showed_us_are_described_too_in_their_own_regions(
    aws: Aws, bucket: TrailBucket, program: Program, account: str
) -> None:
    """An instance that lived for minutes between two looks; one that ran before there was an account; and EC2 is asked once about each."""
    before, between, gone = (f"ami-0bb0bb0bb0bb0bb1{number}" for number in range(3))
    for image, region in ((before, REGION), (between, OTHER_REGION)):
        aws.admin("images", {"account": account, "region": region, "id": image, "name": f"of {region}"})

    def told(image: str, region: str) -> None:
        Cloud(aws, bucket, account, region).deliver(trail.run(account, region, trail.seconds(AT), [f"i-0{image[-16:]}"], "m5.large", image))

    program.configure(bucket, accounts={"reconcile_every": "2s"}).start()
    told(before, REGION)
    bucket.drained()
    program.enroll(aws, account)
    told(between, OTHER_REGION)
    told(gone, REGION)
    for image, region in ((before, REGION), (between, OTHER_REGION)):
        known = until("what EC2 says", lambda image=image: facts(program, image).get("metadata"))
        assert (known["region"], known["value"]["name"], known["source"]) == (region, f"of {region}", f"ec2://{account}/{region}/{image}")
    until("what EC2 does not say", lambda: f"unavailable/{account}" in facts(program, gone))
    looks = program.metric("cloudigrade_reconciliations_total")
    until("two more looks", lambda: program.metric("cloudigrade_reconciliations_total") >= looks + 2)
    asked = [call["params"] for call in aws.calls(action="DescribeImages", account=account)]
    # An image that is not there makes EC2 refuse a question about several.
    assert all(sum(image in json.dumps(params) for params in asked) <= 2 for image in (before, between, gone)), asked


def test_tags_of_images_are_facts_and_the_latest_holds(aws: Aws, bucket: TrailBucket, program: Program, account: str) -> None:
    program.configure(bucket).start()
    cloud, image = Cloud(aws, bucket, account), "ami-0bb0bb0bb0bb0bb04"

    def tagged(name: str, at: str, *tags: dict[str, str], resource: str = image) -> None:
        request = {"resourcesSet": {"items": [{"resourceId": resource}]}, "tagSet": {"items": list(tags)}}
        answer = {"_return": True}
        cloud.deliver(trail.record(name, account, REGION, trail.seconds(at), requestParameters=request, responseElements=answer))

    tagged("CreateTags", "2024-03-01T10:00:00Z", {"key": "cloudigrade-rhel-present", "value": "yes"}, {"key": "team", "value": "a"})
    tagged("DeleteTags", "2024-03-01T12:00:00Z", {"key": "cloudigrade-rhel-present"})
    tagged("CreateTags", "2024-03-01T11:00:00Z", {"key": "cloudigrade-rhel-present", "value": "late"})
    tagged("CreateTags", "2024-03-01T11:00:00Z", {"key": "x", "value": "y"}, resource="i-00000000000000001")
    found = until("the tags", lambda: len(found := facts(program, image)) == 2 and found)
    bucket.drained()
    until("the latest", lambda: facts(program, image)[f"tag/{account}/cloudigrade-rhel-present"]["at"] == "2024-03-01T12:00:00Z")
    assert found[f"tag/{account}/team"]["value"] == {"account_id": account, "key": "team", "value": "a"}
    assert facts(program, image)[f"tag/{account}/cloudigrade-rhel-present"]["value"].get("value") is None
    assert program.sql("SELECT count(*) AS n FROM image_facts WHERE image_id NOT LIKE 'ami-%'") == [{"n": 0}]


def test_images_are_pending_until_what_ec2_or_a_tag_says_makes_reading_them_needless(aws: Aws, bucket: TrailBucket, program: Program, account: str) -> None:
    plain, windows, sold, gold, billed, tagged, gone = (f"ami-0cc0cc0cc0cc0cc0{number}" for number in range(7))
    told = {
        plain: {"platform_details": "Linux/UNIX", "usage_operation": "RunInstances"},
        windows: {"platform": "windows", "platform_details": "Windows", "usage_operation": "RunInstances:0002"},
        sold: {"product_codes": ["marketplace:abc"], "usage_operation": "RunInstances:00g0"},
        gold: {"owner_id": "309956199498", "name": "RHEL-9.2.0_HVM-20230503-x86_64-41-Access2-GP2", "usage_operation": "RunInstances:00g0"},
        billed: {"platform_details": "Red Hat Enterprise Linux", "usage_operation": "RunInstances:0010"},
        tagged: {"tags": {"cloudigrade-rhel-present": "", "cloudigrade-ocp-present": "x"}},
    }
    for image, fields in told.items():
        aws.admin("images", {"account": account, "region": REGION, "id": image, **fields})
    program.configure(bucket).start()
    cloud = Cloud(aws, bucket, account)
    for image in (*told, gone):
        cloud.run(AT, image=image)
    seen = until("that they are used", lambda: len(found := images(program, *told, gone)) == 7 and found)
    assert {row["status"] for row in seen.values()} == {"pending"}
    assert {(row["region"], row["first_seen_at"], row["rhel"], row["billing_model"]) for row in seen.values()} == {(REGION, AT, None, "unknown")}

    program.enroll(aws, account)
    known = until("what EC2 says", lambda: (found := images(program, *told, gone)) and all(row["status"] != "pending" or id == plain for id, row in found.items()) and found)

    def said(image: str) -> tuple:
        row = known[image]
        return row["status"], row["rhel_detected"], row["rhel"], row["openshift"], row["billing_model"]

    assert said(plain) == ("pending", None, None, None, "unknown")
    assert said(windows) == ("inspected", False, False, False, "payg")
    assert said(sold) == ("inspected", True, False, None, "payg") and known[sold]["is_marketplace"]
    assert said(gold) == ("inspected", True, True, False, "byos") and (known[gold]["is_cloud_access"], known[gold]["rhel_version"]) == (True, "9.2")
    assert said(billed) == ("inspected", True, False, None, "payg")
    assert said(tagged) == ("inspected", True, True, True, "byos")
    assert said(gone)[:3] == ("unavailable", None, None)
    assert all(row["status_reason"] for row in known.values())
    kinds = {image: sorted(evidence["kind"] for evidence in json.loads(row["evidence"])) for image, row in known.items()}
    assert kinds == {
        plain: [],
        windows: ["platform"],
        sold: ["billing_code", "product_code"],
        gold: ["billing_code", "cloud_access"],
        billed: ["billing_code"],
        tagged: ["tag", "tag"],
        gone: [],
    }


def test_a_tag_that_the_logs_tell_of_decides_until_it_is_taken_away(aws: Aws, bucket: TrailBucket, program: Program, account: str) -> None:
    program.configure(bucket).start()
    cloud, image = Cloud(aws, bucket, account), "ami-0cc0cc0cc0cc0cc08"

    def tagged(name: str, at: str) -> None:
        request = {"resourcesSet": {"items": [{"resourceId": image}]}, "tagSet": {"items": [{"key": "cloudigrade-rhel-present", "value": ""}]}}
        cloud.deliver(trail.record(name, account, REGION, trail.seconds(at), requestParameters=request, responseElements={"_return": True}))

    def becomes(status: str, rhel: bool | None) -> None:
        until(f"it is {status}", lambda: (found := images(program, image).get(image)) and (found["status"], found["rhel"]) == (status, rhel))

    tagged("CreateTags", "2024-03-01T10:00:00Z")
    becomes("inspected", True)
    tagged("DeleteTags", "2024-03-01T11:00:00Z")
    becomes("pending", None)
