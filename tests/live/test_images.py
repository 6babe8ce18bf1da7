"""What is known of machine images: what EC2 says of them, that it says nothing, and their tags."""

import json

import trail
from aws import REGION, Aws, TrailBucket, until
from cloud import Cloud
from program import Program

AT = "2024-03-01T10:00:00Z"


def facts(program: Program, image: str) -> dict[str, dict]:
    """The facts about an image, by their names."""
    rows = program.sql(f"SELECT * FROM image_facts WHERE image_id = '{image}'")
    return {row["fact"]: {**row, "value": json.loads(row["value"])} for row in rows}


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
    until("the latest", lambda: facts(program, image)["tag/cloudigrade-rhel-present"]["at"] == "2024-03-01T12:00:00Z")
    assert found["tag/team"]["value"] == {"key": "team", "value": "a"}
    assert facts(program, image)["tag/cloudigrade-rhel-present"]["value"].get("value") is None
    assert program.sql("SELECT count(*) AS n FROM image_facts WHERE image_id NOT LIKE 'ami-%'") == [{"n": 0}]
