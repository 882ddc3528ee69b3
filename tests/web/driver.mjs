// SPDX-License-Identifier: Apache-2.0
//
// A browser for a test that is written in another language: each line on standard input is
// {"code": "…"}, the body of an async function of (tab, elements, positions, eventually, complaints). The answer is a line
// {"result": …} or {"error": "…"}. First line out: {"ready": true}.

import { createInterface } from "node:readline";
import { browse } from "./browser.mjs";
import { eventually } from "./tap.mjs";

const browser = await browse();
const context = await browser.newContext({ viewport: { width: 1440, height: 900 } });
context.setDefaultTimeout(60_000);
const tab = await context.newPage();
const complaints = [];
tab.on("console", (m) => {
	if (["error", "warning"].includes(m.type()) && !/Failed to load resource|ERR_/.test(m.text())) complaints.push(m.text());
});
tab.on("pageerror", (error) => complaints.push(String(error)));

const elements = () => tab.evaluate(() => window.bulkhead.elements());
const positions = () => tab.evaluate(() => window.bulkhead.positions());
const AsyncFunction = (async () => {}).constructor;
const say = (answer) => process.stdout.write(`${JSON.stringify(answer)}\n`);

say({ ready: true });
for await (const line of createInterface({ input: process.stdin })) {
	try {
		const run = new AsyncFunction("tab", "elements", "positions", "eventually", "complaints", JSON.parse(line).code);
		say({ result: (await run(tab, elements, positions, eventually, complaints)) ?? null });
	} catch (error) {
		say({ error: String(error.message) });
	}
}
await browser.close();
