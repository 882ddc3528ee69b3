// SPDX-License-Identifier: Apache-2.0
//
// Tests of the page: alerts and baselines.

import assert from "node:assert/strict";
import * as clusters from "./cluster.mjs";
import { drawn, elements, search } from "./fixture.mjs";
import { eventually, test } from "./tap.mjs";

const alarmed = (m) => {
	m.alerts = clusters.shopAlerts(m.conversations);
};

test("open_alerts_are_counted_in_sight_and_listed_worst_first", async (w) => {
	const { tab } = await w.open(clusters.shop(), "/", { prepare: alarmed });
	const bell = tab.locator("#bell");
	await eventually(async () => /3/.test(await bell.innerText()), "three are counted");
	assert.match(await bell.getAttribute("aria-label"), /3 open alerts, 1 of them high/);
	await bell.click();
	const kinds = await tab.locator("#alerts > li .kind b").allInnerTexts();
	assert.deepEqual(kinds, ["Port scan", "Plain text to a database", "New conversation"]);
	assert.equal((await search(tab)).get("side"), "alerts");
	await tab.locator("#alerts summary").first().click();
	assert.match(await tab.locator("#alerts > li").first().innerText(), /190 attempts at 61 ports[\s\S]*denied at all of them[\s\S]*TCP 22 · Denied[\s\S]*51 more/);
	await tab.keyboard.press("Escape");
	await tab.locator("#panel").waitFor({ state: "detached" });
	await tab.locator("#bell").waitFor();
});

test("an_alert_leads_to_its_line_even_if_it_is_filtered_out_and_closed_away", async (w) => {
	const { tab, mock } = await w.open(clusters.shop(), "/?open=&verdict=allowed&q=front&view=table&side=alerts", { prepare: alarmed });
	const alert = mock.alerts.find(({ kind }) => kind === "plaintext-database");
	await tab.locator(`[data-show='${alert.id}']`).click();
	const [{ edge }] = alert.evidence;
	await tab.locator("#panel .verdict").waitFor();
	assert.equal((await search(tab)).get("sel"), `c.${edge}`);
	const line = await drawn(tab, "shop/CronJob/nightly-report>data/StatefulSet/postgres>would-deny");
	await eventually(async () => (await elements(tab)).find(({ id }) => id === line.id).classes.includes("selected"), "the line is selected");
	const at = await tab.evaluate((id) => window.bulkhead.screen(id), line.id);
	const box = await tab.locator("#graph").boundingBox();
	assert.ok(at.x > 0 && at.x < box.width && at.y > 0 && at.y < box.height, "and in sight");
	await tab.getByRole("button", { name: "Back" }).click();
	await tab.locator("#alerts").waitFor();
});

test("an_alert_that_is_raised_appears_is_told_and_is_acknowledged", async (w) => {
	const { tab, mock } = await w.open(clusters.shop(), "/?side=alerts");
	await tab.locator("#no-alerts").waitFor();
	await tab.locator("#live.live").waitFor();
	const alert = clusters.shopAlerts(mock.conversations)[1];
	mock.raise(alert);
	await tab.locator(`[data-alert='${alert.id}']`).waitFor();
	assert.match(await tab.locator("#news").innerText(), /New alert: Port scan, shop\/debug tried 61 ports/);
	await eventually(async () => /1/.test(await tab.locator("#bell").innerText()), "it is counted");
	const line = "shop/Pod/debug>payments/Deployment/ledger>denied";
	await eventually(async () => (await elements(tab)).find(({ id }) => id === line)?.data.alarm === "high", "its line has the bell");
	await tab.locator(`[data-ack='${alert.id}']`).click();
	await tab.locator("#no-alerts").waitFor();
	await eventually(async () => (await elements(tab)).find(({ id }) => id === line)?.data.alarm === "", "the bell is gone");
	await tab.locator("#acknowledged").click();
	assert.match(await tab.locator(`[data-alert='${alert.id}']`).innerText(), /Port scan/);
	mock.raise({ ...alert, acknowledged: null, acknowledgedBy: null, reopened: 1 });
	await tab.locator("#alerts").waitFor();
	assert.match(await tab.locator("#alerts").innerText(), /opened again 1 time/);
});

test("what_a_baseline_lacks_is_marked_in_the_graph", async (w) => {
	const { tab } = await w.open(clusters.shop(), "/", { prepare: alarmed });
	const line = "shop/Deployment/mailer>data/StatefulSet/rabbitmq>allowed";
	await eventually(async () => (await elements(tab)).find(({ id }) => id === line)?.classes.includes("unusual"), "marked");
	assert.ok(!(await elements(tab)).find(({ id }) => id === "shop/Deployment/cart>data/StatefulSet/redis>allowed").classes.includes("unusual"));
	await tab.keyboard.press("3");
	await tab.locator("#conversations .tag.unusual").waitFor();
});

test("a_line_of_many_conversations_is_marked_though_it_tells_only_the_largest", async (w) => {
	const [spy, db] = [clusters.workload("evil", "Pod", "spy"), clusters.workload("data", "Pod", "db")];
	const conversations = Array.from({ length: 40 }, (_, i) => clusters.conversation(spy, db, 7000 + i, { bytes: 90_000 - i, state: "would-deny" }));
	const least = conversations.at(-1);
	const { tab } = await w.open({ conversations }, "/", { prepare: (m) => (m.alerts = [clusters.alert("new-edge", [least])]) });
	const line = await drawn(tab, `${spy.id}>${db.id}>would-deny`);
	await eventually(async () => (await elements(tab)).find(({ id }) => id === line.id).classes.includes("unusual"), "marked");
});

test("a_baseline_is_locked_looked_at_and_given_up", async (w) => {
	const { tab, mock } = await w.open(clusters.shop(), "/?sel=n.ns:data");
	await tab.locator("#lock").click();
	await eventually(() => mock.baselines.has("data"), "locked");
	await tab.locator("#holding").click();
	await tab.locator("#usual li").first().waitFor();
	const held = mock.conversations.filter((c) => c.client.namespace === "data" || c.server.namespace === "data");
	assert.equal(await tab.locator("#usual li").count(), held.length);
	assert.equal((await search(tab)).get("side"), "baseline.data");
	await tab.getByRole("button", { name: "Back" }).click();
	await tab.locator("#unlock").click();
	assert.ok(mock.baselines.has("data"), "the first click only asks");
	await tab.getByRole("button", { name: "Give it up now" }).click();
	await eventually(() => !mock.baselines.has("data"), "given up");
	await tab.getByRole("button", { name: "Lock what was seen" }).waitFor();
});

test("a_reader_sees_why_the_orders_are_off", async (w) => {
	const { tab, mock } = await w.open(clusters.shop(), "/?side=alerts", { token: "reader", prepare: alarmed });
	const ack = tab.locator("[data-ack]").first();
	await ack.waitFor();
	assert.equal(await ack.isDisabled(), true);
	assert.match(await ack.getAttribute("title"), /an operator acknowledges/);
	await tab.locator("#namespaces .name", { hasText: "data" }).click();
	assert.equal(await tab.locator("#lock").isDisabled(), true);
	assert.match(await tab.locator("#panel").innerText(), /an operator locks and unlocks/);
	await tab.locator("#suggest").click();
	const approve = tab.locator("[data-approve]").first();
	await approve.waitFor();
	assert.equal(await approve.isDisabled(), true);
	assert.deepEqual(mock.requests.filter(({ method, path }) => method !== "GET" && path !== "/api/v1/session"), []);
});

test("a_controller_without_alerts_is_no_error", async (w) => {
	const { tab } = await w.open(clusters.shop(), "/?side=alerts", { prepare: (m) => (m.alerts = null) });
	await drawn(tab, "shop/Deployment/front");
	assert.equal(await tab.locator("#bell").count(), 0);
	assert.match(await tab.locator("#panel").innerText(), /raises no alerts/);
	assert.equal(await tab.locator("#stale").count(), 0);
});
