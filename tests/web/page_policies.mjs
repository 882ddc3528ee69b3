// SPDX-License-Identifier: Apache-2.0
//
// Tests of the page: policies that are suggested, and policies that are tried.

import assert from "node:assert/strict";
import * as clusters from "./cluster.mjs";
import { elements } from "./fixture.mjs";
import { eventually, test } from "./tap.mjs";

test("a_suggestion_shows_its_reasons_and_takes_decisions", async (w) => {
	const { tab, mock } = await w.open(clusters.shop(), "/?sel=n.ns:data");
	await tab.locator("#suggest").click();
	await tab.locator("#left").waitFor();
	const yaml = await tab.locator(".yaml").allInnerTexts();
	assert.ok(yaml.some((text) => /name: "suggested-statefulset-postgres"/.test(text) && /# shop\/Deployment\/catalog to TCP 5432/.test(text)), "rules have what is behind them");
	const left = await tab.locator("#left li").count();
	const would = mock.conversations.find((c) => c.client.name === "nightly-report");
	const denied = mock.conversations.find((c) => c.client.name === "front" && c.state === "denied");
	await tab.locator(`[data-approve='${mock.seen(would).id}']`).click();
	await eventually(async () => (await tab.locator("#left li").count()) === left - 1, "approved");
	assert.ok((await tab.locator(".yaml").allInnerTexts()).some((text) => /nightly-report to TCP 5432/.test(text)), "and in the suggestion");
	await tab.locator(`#left [data-reject='${mock.seen(denied).id}']`).click();
	await eventually(async () => (await tab.locator("#left li").count()) === left - 2, "rejected");
	await tab.locator("summary", { hasText: "Rejected or gone" }).click();
	await tab.locator(`[data-undecide='${mock.seen(denied).id}']`).click();
	await eventually(async () => (await tab.locator("#left li").count()) === left - 1, "forgotten");
	const saved = tab.waitForEvent("download");
	await tab.locator("#save-suggestion").click();
	assert.equal((await saved).suggestedFilename(), "data-policies.yaml");
});

test("policies_that_are_tried_mark_what_they_would_change", async (w) => {
	const { tab, mock } = await w.open(clusters.shop());
	const [deny, permit] = [mock.conversations[5], mock.conversations[10]];
	mock.changes.set(deny, "newly-denied").set(permit, "newly-allowed");
	const begun = new Date(Date.now() - 90_000);
	mock.historySince = begun.toISOString();
	await tab.locator("#trial").click();
	await tab.locator("#candidate").fill("kind: NetworkPolicy");
	await tab.locator("#try").click();
	await tab.locator("#outcome").waitFor();
	assert.match(await tab.locator("#outcome").innerText(), /1 newly denied, 1 newly allowed/);
	assert.match(await tab.locator("#outcome").innerText(), new RegExp(`seen from [-0-9]+ ${begun.toTimeString().slice(0, 8)} to `), "no earlier than there is history");
	assert.match(await tab.locator("#newly-denied").innerText(), /shop\/front → shop\/checkout/);
	const line = (all, c) => all.find((e) => e.data.source === c.client.id && e.data.target === c.server.id && e.data.state === c.state);
	const marked = await eventually(async () => {
		const all = await elements(tab);
		return line(all, deny)?.data.trial ? all : null;
	}, "marked");
	assert.equal(line(marked, deny).data.trial, "newly-denied");
	assert.equal(line(marked, permit).data.trial, "newly-allowed");
	assert.equal(marked.filter((e) => e.data.trial).length, 2);
	assert.ok(line(marked, mock.conversations[0]).classes.includes("aside"));
	await tab.locator("#newly-allowed button.row").click();
	await tab.locator("#panel .verdict").waitFor();
	await eventually(async () => line(await elements(tab), permit).classes.includes("selected"), "its line is selected");
	await tab.getByRole("button", { name: "Back" }).click();
	await tab.getByRole("tab", { name: "Table" }).click();
	await eventually(async () => (await tab.locator("#conversations .tag.newly-denied, #conversations .tag.newly-allowed").count()) === 2, "marked in the table");
	await tab.getByRole("tab", { name: "Graph" }).click();
	await tab.locator("#untry").click();
	await eventually(async () => !(await elements(tab)).some((e) => e.data.trial || e.classes.includes("aside")), "all as before");
	assert.deepEqual(mock.requests.filter(({ method }) => method === "PUT"), []);
});

test("a_closed_namespace_shows_what_a_policy_would_change_in_it", async (w) => {
	const { tab, mock } = await w.open(clusters.shop(), "/?open=&side=try", { prepare: (m) => m.changes.set(m.conversations[9], "newly-denied") });
	await tab.locator("#candidate").fill("kind: NetworkPolicy");
	await tab.locator("#try").click();
	await eventually(async () => (await elements(tab)).find(({ id }) => id === "ns:shop>ns:data>allowed")?.data.trial === "newly-denied", "the line between the islands");
	assert.equal(mock.requests.filter(({ path }) => path === "/api/v1/policy/diff").length, 1);
});

test("what_is_no_policy_is_refused_by_name", async (w) => {
	const { tab } = await w.open(clusters.shop(), "/?side=try");
	await tab.locator("#files").setInputFiles({ name: "readme.yaml", mimeType: "text/plain", buffer: Buffer.from("a: b") });
	await tab.locator("#refusal").waitFor();
	assert.match(await tab.locator("#refusal").innerText(), /readme\.yaml: there is no NetworkPolicy/);
	await tab.locator("#candidate").fill("kind: NetworkPolicy");
	await tab.locator("#refusal").waitFor({ state: "detached" });
});

test("a_suggestion_is_tried_with_one_click", async (w) => {
	const { tab, mock } = await w.open(clusters.shop(), "/?side=suggest.data");
	await tab.locator("#try-suggestion").click();
	await tab.locator("#outcome").waitFor();
	assert.match(await tab.locator("#candidate").inputValue(), /suggested-statefulset-postgres/);
	assert.match(await tab.locator("#outcome").innerText(), /change nothing/);
	assert.ok(JSON.parse(mock.requests.find(({ path }) => path === "/api/v1/policy/diff").body).last, "of the window that is looked at");
});

test("a_policy_can_be_thought_away", async (w) => {
	const { tab, mock } = await w.open(clusters.shop(), "/?sel=n.ns:data", { prepare: (m) => m.changes.set(m.conversations[9], "newly-allowed") });
	await tab.locator("#panel summary", { hasText: "postgres" }).click();
	await tab.locator("[data-without=postgres]").click();
	await tab.locator("#outcome").waitFor();
	assert.match(await tab.locator("#removed").innerText(), /NetworkPolicy\/data\/postgres were gone/);
	const asked = JSON.parse(mock.requests.find(({ path }) => path === "/api/v1/policy/diff").body);
	assert.deepEqual([asked.manifests, asked.delete], [[], ["NetworkPolicy/data/postgres"]]);
	await tab.locator("#untry").click();
	await tab.locator("#outcome").waitFor({ state: "detached" });
});
