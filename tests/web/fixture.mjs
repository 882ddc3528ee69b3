// SPDX-License-Identifier: Apache-2.0
//
// The page in a real browser, against a controller that is none (mock.mjs); what its tests share.

import assert from "node:assert/strict";
import { Mock } from "./mock.mjs";
import { browse, login } from "./browser.mjs";
import { eventually } from "./tap.mjs";

const PAGE = process.env.BULKHEAD_PAGE;
const browser = await browse();

/** What a page may not say on its console. Chromium itself notes every answer that is an error. */
function isOurs(text) {
	return !/Failed to load resource|ERR_/.test(text);
}

export const fixture = {
	async begin() {
		const world = { mocks: [], contexts: [], errors: [] };
		world.open = (cluster, path, options) => open(world, cluster, path, options);
		return world;
	},
	async check(world) {
		assert.deepEqual(world.errors, [], "what the page complained about on the console");
	},
	async end(world) {
		for (const context of world.contexts) await context.close();
		for (const mock of world.mocks) await mock.close();
	},
	close: () => browser.close(),
};

/** A mock, and a tab logged in to it. */
async function open(world, cluster, path = "/", { token = "operator", prepare, ...context } = {}) {
	const mock = new Mock(PAGE, cluster);
	prepare?.(mock);
	world.mocks.push(mock);
	const url = await mock.listen();
	const made = await browser.newContext({ viewport: { width: 1440, height: 900 }, ...context });
	made.setDefaultTimeout(60_000);
	world.contexts.push(made);
	const tab = await made.newPage();
	watch(world, tab);
	if (token) await login(tab, url, path, token);
	else await tab.goto(url + path);
	return { mock, url, tab, context: made };
}

export function watch(world, tab) {
	tab.on("console", (message) => {
		if (["error", "warning"].includes(message.type()) && isOurs(message.text())) world.errors.push(message.text());
	});
	tab.on("pageerror", (error) => world.errors.push(String(error)));
}

export const elements = (tab) => tab.evaluate(() => window.bulkhead.elements());
export const positions = (tab) => tab.evaluate(() => window.bulkhead.positions());
/** The address as the page has it now; what the browser reports of it comes later. */
export const search = async (tab) => new URLSearchParams(await tab.evaluate(() => location.search));

export function drawn(tab, id) {
	return eventually(async () => (await elements(tab)).find((e) => e.id === id), `${id} is drawn`);
}

export function gone(tab, id) {
	return eventually(async () => !(await elements(tab)).some((e) => e.id === id), `${id} is not drawn`);
}

/** Lines cross: of a line, the first point that is its own. */
export async function clickOn(tab, id) {
	await drawn(tab, id);
	const box = await tab.locator("#graph").boundingBox();
	for (const t of [0.5, 0.35, 0.65, 0.25, 0.75, 0.15, 0.85]) {
		const at = await tab.evaluate(([wanted, way]) => window.bulkhead.screen(wanted, way), [id, t]);
		await tab.mouse.click(box.x + at.x, box.y + at.y);
		if ((await search(tab)).get("sel")?.slice(2) === id) return;
	}
	throw new Error(`no click hits ${id}`);
}

export async function idle(tab) {
	await tab.waitForFunction(() => document.querySelector("main#view")?.getAttribute("aria-busy") === "false");
}

export function same(before, after, except = []) {
	for (const [id, at] of Object.entries(before)) {
		if (!after[id] || except.includes(id)) continue;
		assert.ok(Math.hypot(at.x - after[id].x, at.y - after[id].y) < 0.5, `${id} moved from ${JSON.stringify(at)} to ${JSON.stringify(after[id])}`);
	}
}
