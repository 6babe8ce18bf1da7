"""A Delta table's log, replayed by the protocol's own rules and nothing else: no Delta library, no code of cloudigrade.

https://github.com/delta-io/delta/blob/master/PROTOCOL.md
"""

import json
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote

import pyarrow.parquet


@dataclass
class DeltaTable:
    """The table after its last commit, and what was odd on the way there."""

    root: Path
    version: int = -1
    files: dict[str, dict] = field(default_factory=dict)  # path -> its `add` action
    transactions: dict[str, list[int]] = field(default_factory=dict)  # app id -> versions, in the order of commits
    schema: dict = field(default_factory=dict)
    partition_columns: list[str] = field(default_factory=list)
    oddities: list[str] = field(default_factory=list)

    @property
    def paths(self) -> list[str]:
        """The active files, absolute."""
        return [str(self.root / unquote(path)) for path in sorted(self.files)]


def replay(root: Path) -> DeltaTable:
    """Reads the newest checkpoint, if there is one, and the commits behind it."""
    table, log = DeltaTable(root), root / "_delta_log"
    checkpoints = sorted(log.glob("*.checkpoint.parquet"))
    if checkpoints:
        table.version = int(checkpoints[-1].name.split(".")[0])
        for row in pyarrow.parquet.read_table(checkpoints[-1]).to_pylist():
            _apply(table, {name: action for name, action in row.items() if action is not None})
    for commit in sorted(log.glob("*.json")):
        version = int(commit.stem)
        if version <= table.version:
            continue
        if version != table.version + 1:
            table.oddities.append(f"version {version} follows {table.version}")
        table.version = version
        actions = [json.loads(line) for line in commit.read_text().splitlines()]
        # The actions of one commit have no order: a file may leave and come back in it, with other contents only under another name.
        for action in sorted(actions, key=lambda action: "add" in action):
            _apply(table, action)
    return table


def _apply(table: DeltaTable, action: dict) -> None:
    if add := action.get("add"):
        if add["path"] in table.files:
            table.oddities.append(f"{add['path']} is added twice")
        table.files[add["path"]] = {**add, "partitionValues": dict(add["partitionValues"])}
    elif remove := action.get("remove"):
        # A checkpoint keeps removed files as tombstones for a while.
        table.files.pop(remove["path"], None)
    elif txn := action.get("txn"):
        table.transactions.setdefault(txn["appId"], []).append(txn["version"])
    elif metadata := action.get("metaData"):
        table.schema = {column["name"]: column for column in json.loads(metadata["schemaString"])["fields"]}
        table.partition_columns = list(metadata["partitionColumns"])
