"""What the program is made of, as CycloneDX 1.5 (ECMA-424): python bill_of_materials.py FILE

Each crate that is compiled into the program on some platform, with its version, licence, origin and
hash, and what needs what. From `cargo metadata` and Cargo.lock alone: nothing is asked of a registry.
"""

import json
import pathlib
import subprocess
import sys
import tomllib
import uuid

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import HashAlgorithm, HashType
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentScope, ComponentType
from cyclonedx.output import make_outputter
from cyclonedx.schema import OutputFormat, SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL


def needs(node):
    """Package ids that this one is built with: not those of its tests."""
    for dependency in node["deps"]:
        if any(kind["kind"] != "dev" for kind in dependency["dep_kinds"]):
            yield dependency["pkg"]


def reached(root, nodes):
    """Package ids that are in the program or build it."""
    found, todo = set(), [root]
    while todo:
        one = todo.pop()
        if one not in found:
            found.add(one)
            todo.extend(needs(nodes[one]))
    return found


def component(package, checksums, kind):
    """The part of the bill for one package."""
    name, version = package["name"], package["version"]
    # Cargo once wrote `/` where SPDX has OR.
    licence = (package["license"] or "").replace("/", " OR ")
    checksum = checksums.get((name, version))
    purl = PackageURL("cargo", None, name, version)
    return Component(
        type=kind,
        name=name,
        version=version,
        bom_ref=str(purl),
        purl=purl,
        description=package["description"],
        scope=ComponentScope.REQUIRED,
        licenses=[LicenseFactory().make_from_string(licence)] if licence else [],
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=checksum)] if checksum else [],
    )


def make(metadata, lock):
    """The bill of the workspace's one package."""
    checksums = {(p["name"], p["version"]): p.get("checksum") for p in lock["package"]}
    packages = {package["id"]: package for package in metadata["packages"]}
    nodes = {node["id"]: node for node in metadata["resolve"]["nodes"]}
    root = metadata["resolve"]["root"]
    parts = {
        one: component(
            packages[one],
            checksums,
            ComponentType.APPLICATION if one == root else ComponentType.LIBRARY,
        )
        for one in sorted(reached(root, nodes))
    }
    # The same Cargo.lock has the same number.
    name = json.dumps(lock["package"], sort_keys=True)
    bom = Bom(serial_number=uuid.uuid5(uuid.NAMESPACE_URL, name))
    bom.metadata.component = parts[root]
    for one, part in parts.items():
        if one != root:
            bom.components.add(part)
        bom.register_dependency(part, [parts[other] for other in needs(nodes[one])])
    return bom


def check(text, manifest, lock):
    """Ends the program where the bill is not whole."""
    error = JsonStrictValidator(SchemaVersion.V1_5).validate_str(text)
    assert not error, error
    parts = {(part["name"], part["version"]): part for part in json.loads(text)["components"]}
    unknown = sorted(set(parts) - {(p["name"], p["version"]) for p in lock["package"]})
    assert not unknown, f"not in Cargo.lock: {unknown}"
    wanted = set(manifest["dependencies"])
    for target in manifest.get("target", {}).values():
        wanted |= set(target.get("dependencies", {}))
    missing = wanted - {name for name, _ in parts}
    assert not missing, f"missing: {missing}"
    fields = ("licenses", "purl", "hashes")
    bare = sorted(key for key, part in parts.items() if not all(part.get(field) for field in fields))
    assert not bare, f"without a licence, an origin or a hash: {bare}"
    print(len(parts), "components, each with its version, licence, origin and hash")


def main():
    """Writes the bill to the file that is named."""
    said = subprocess.run(
        ["cargo", "metadata", "--format-version", "1", "--locked"], check=True, capture_output=True
    )
    lock = tomllib.loads(pathlib.Path("Cargo.lock").read_text(encoding="utf-8"))
    manifest = tomllib.loads(pathlib.Path("Cargo.toml").read_text(encoding="utf-8"))
    bom = make(json.loads(said.stdout), lock)
    text = make_outputter(bom, OutputFormat.JSON, SchemaVersion.V1_5).output_as_string(indent=2)
    pathlib.Path(sys.argv[1]).write_text(text, encoding="utf-8")
    check(text, manifest, lock)


if __name__ == "__main__":
    main()
