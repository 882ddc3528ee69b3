// SPDX-License-Identifier: Apache-2.0
//
// Bundles the page: build.mjs FOLDER. Into the folder go index.html, one script, one style sheet
// (both named after their content), the icon, and the licences of what is bundled.

import { createHash } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const here = dirname(fileURLToPath(import.meta.url));
const out = resolve(process.argv[2] ?? "dist");

const result = await build({
	absWorkingDir: here,
	entryPoints: { app: "src/main.ts", style: "src/css/main.css" },
	outdir: out,
	bundle: true,
	minify: true,
	write: false,
	metafile: true,
	format: "iife",
	target: ["es2021", "chrome100", "firefox100", "safari15"],
	charset: "utf8",
	legalComments: "none",
	conditions: ["production"],
	define: { "process.env.NODE_ENV": '"production"' },
	logLevel: "warning",
});

const named = (stem, suffix, bytes) =>
	`${stem}-${createHash("sha256").update(bytes).digest("hex").slice(0, 8)}.${suffix}`;

rmSync(out, { recursive: true, force: true });
mkdirSync(out, { recursive: true });

const names = {};
for (const file of result.outputFiles) {
	const suffix = file.path.endsWith(".css") ? "css" : "js";
	names[suffix] = named("app", suffix, file.contents);
	writeFileSync(join(out, names[suffix]), file.contents);
}

const icon = readFileSync(join(here, "src/icon.svg"), "utf8").replace(/<!--.*?-->\s*/gs, "");
names.icon = named("icon", "svg", icon);
writeFileSync(join(out, names.icon), icon);

// Every package that something in the bundle came from owes its notice.
const packages = new Set();
for (const input of Object.keys(result.metafile.inputs)) {
	const match = /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(input);
	if (match) packages.add(match[1]);
}
let licences = "The page of Bulkhead contains these libraries.\n";
for (const name of [...packages].sort()) {
	const folder = join(here, "node_modules", name);
	const { version, license } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
	const file = readdirSync(folder).find((f) => /^licen[cs]e/i.test(f));
	licences += `\n${"=".repeat(72)}\n${name} ${version} (${license})\n\n`;
	licences += file ? readFileSync(join(folder, file), "utf8") : "";
}
writeFileSync(join(out, "licences.txt"), licences);

const html = readFileSync(join(here, "src/index.html"), "utf8")
	.replace(/<!--.*?-->\s*/gs, "")
	.replaceAll("app.js", names.js)
	.replaceAll("app.css", names.css)
	.replaceAll("icon.svg", names.icon);
writeFileSync(join(out, "index.html"), html);
