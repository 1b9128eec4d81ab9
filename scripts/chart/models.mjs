// Holds custom resources to the models that are published for them.
//
// usage: models.mjs MODULES < objects.json
//
// MODULES is the folder node_modules with the packages @kubernetes-models/…; the input is a JSON list of
// pairs of a place and an object. The models do not refuse unknown fields, so a field that a model
// never looked at counts as unknown.

import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";

const PACKAGES = {
  "monitoring.coreos.com/v1": "prometheus-operator",
  "keda.sh/v1alpha1": "keda",
  "external-secrets.io/v1": "external-secrets",
};
const TOP = ["apiVersion", "kind", "metadata", "spec"];
const modules = resolve(process.argv[2], "@kubernetes-models");

// Wraps `value` so that every field that is asked for leaves the list `unread`.
function watched(value, path, unread) {
  if (value === null || typeof value !== "object") {
    return value;
  }
  const inner = {};
  for (const key of Object.keys(value)) {
    inner[key] = watched(value[key], `${path}.${key}`, unread);
    if (!Array.isArray(value)) {
      unread.add(`${path}.${key}`);
    }
  }
  return new Proxy(Array.isArray(value) ? Object.values(inner) : inner, {
    get(target, key) {
      unread.delete(`${path}.${String(key)}`);
      return target[key];
    },
  });
}

const problems = [];
let checked = 0;
for (const [place, object] of JSON.parse(readFileSync(0, "utf8"))) {
  const here = `${place}: ${object.kind} ${object.metadata.name}`;
  const folder = PACKAGES[object.apiVersion];
  if (!folder) {
    problems.push(`${here}: no model for ${object.apiVersion}`);
    continue;
  }
  const file = `${modules}/${folder}/${object.apiVersion}/${object.kind}.js`;
  const Model = (await import(pathToFileURL(file)))[object.kind];
  const unread = new Set();
  try {
    // Not by `new Model`, whose copying would look at every field there is.
    Model.prototype.validate.call(watched(object, "", unread));
    checked += 1;
  } catch (error) {
    problems.push(`${here}: ${error.message}`);
    continue;
  }
  for (const key of Object.keys(object).filter((key) => !TOP.includes(key))) {
    problems.push(`${here}: there is no field .${key}`);
  }
  for (const path of unread) {
    problems.push(`${here}: there is no field ${path}`);
  }
}
for (const problem of problems) {
  console.error(`models.mjs: ${problem}`);
}
if (problems.length || !checked) {
  process.exit(1);
}
console.log(`    custom resources: ${checked} follow their models`);
