"""Makes what the processes expect to be there: a bucket for the tables in the store, and in the emulator of AWS a bucket for logs that tells a
queue of each new object. It is safe to repeat, and must be repeated when the emulator was started anew: it keeps nothing."""

import json
import os

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

TABLES, TRAIL, QUEUE = "tables", "trail", "trail-events"
BY_PATH = Config(s3={"addressing_style": "path"})  # names of buckets are no names of hosts here


def client(service: str, endpoint: str):
    """A client; keys and region are in the environment."""
    return boto3.client(service, endpoint_url=os.environ[endpoint], config=BY_PATH)


def make_bucket(s3, name: str) -> None:
    """Makes a bucket unless we have it."""
    try:
        s3.create_bucket(Bucket=name)
    except ClientError as error:
        if error.response["Error"]["Code"] not in ("BucketAlreadyOwnedByYou", "BucketAlreadyExists"):
            raise
    print(f"bucket {name} at {s3.meta.endpoint_url}")


def main() -> None:
    """All of it."""
    make_bucket(client("s3", "STORE_URL"), TABLES)
    s3, sqs = client("s3", "EMULATOR_URL"), client("sqs", "EMULATOR_URL")
    make_bucket(s3, TRAIL)
    queue = sqs.create_queue(QueueName=QUEUE)["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    may_send = {"Effect": "Allow", "Principal": {"Service": "s3.amazonaws.com"}, "Action": "sqs:SendMessage", "Resource": arn}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [may_send]})
    sqs.set_queue_attributes(QueueUrl=queue, Attributes={"Policy": policy})
    told = {"QueueConfigurations": [{"QueueArn": arn, "Events": ["s3:ObjectCreated:*"]}]}
    s3.put_bucket_notification_configuration(Bucket=TRAIL, NotificationConfiguration=told)
    print(f"queue {queue} is told of new objects in bucket {TRAIL}")


if __name__ == "__main__":
    main()
