# SPDX-License-Identifier: Apache-2.0
"""docs/openapi.yaml as a judge: is this answer what the file promises, and was everything promised seen?"""

import json
import pathlib
import re

import jsonschema
import yaml

import tap

ROOT = pathlib.Path(__file__).resolve().parents[2]
METHODS = ("get", "put", "post", "delete")


class Contract:
    def __init__(self):
        self.text = yaml.safe_load((ROOT / "docs/openapi.yaml").read_text())
        self.seen = set()

    def operations(self):
        for path, item in self.text["paths"].items():
            for method in METHODS:
                if method in item:
                    yield path, method.upper(), item[method]

    def _resolve(self, thing):
        while "$ref" in thing:
            name = thing["$ref"].removeprefix("#/").split("/")
            thing = self.text
            for part in name:
                thing = thing[part]
        return thing

    def _strict(self, schema, depth=0):
        """As jsonschema wants it: no references, and no member that is not in the file."""
        schema = dict(self._resolve(schema))
        for part in schema.pop("allOf", []):
            part = self._strict(part, depth)
            merged = part.get("properties", {}) | schema.get("properties", {})
            required = part.get("required", []) + schema.get("required", [])
            schema = part | schema
            if merged:
                schema |= {"properties": merged, "required": required}
        if "oneOf" in schema:
            schema["oneOf"] = [self._strict(one) for one in schema["oneOf"]]
        if "properties" in schema:
            schema["properties"] = {k: self._strict(v) for k, v in schema["properties"].items()}
            schema.setdefault("additionalProperties", False)
        if isinstance(schema.get("items"), dict):
            schema["items"] = self._strict(schema["items"])
        if isinstance(schema.get("additionalProperties"), dict):
            schema["additionalProperties"] = self._strict(schema["additionalProperties"])
        return schema

    def find(self, method, url):
        """The path of the file that a URL belongs to, and its operation."""
        plain = url.split("?")[0]
        for path, its, operation in self.operations():
            pattern = re.sub(r"\{[^}]*\}", "[^/]+", path)
            if its == method and re.fullmatch(pattern, plain):
                return path, operation
        tap.fail(f"{method} {plain} is not in docs/openapi.yaml")

    def validate(self, schema, value, what):
        errors = list(jsonschema.Draft202012Validator(self._strict(schema)).iter_errors(value))
        if errors:
            where = "/".join(map(str, errors[0].absolute_path))
            tap.fail(f"{what}: at {where or 'the top'}: {errors[0].message[:600]}")

    def check(self, method, url, answer):
        """Fails unless the answer is one that the file promises; returns the answer."""
        path, operation = self.find(method, url)
        status = str(answer.status)
        what = f"{method} {url} → {status}"
        if status not in operation["responses"]:
            tap.fail(f"{what} is not in docs/openapi.yaml: {answer}")
        self.seen.add((path, method, status))
        promised = self._resolve(operation["responses"][status]).get("content")
        if not promised:
            tap.equal(answer.body, b"", f"body of {what}")
            return answer
        media = answer.headers["Content-Type"].split(";")[0]
        if media not in promised:
            tap.fail(f"{what}: {media} is not promised")
        if media == "application/json":
            self.validate(promised[media]["schema"], json.loads(answer.body), what)
        return answer

    def schema(self, name):
        return self.text["components"]["schemas"][name]

    def unseen(self):
        """Answers that the file promises and nobody has seen."""
        return sorted(
            (path, method, status)
            for path, method, operation in self.operations()
            for status in operation["responses"]
            if (path, method, status) not in self.seen
        )
