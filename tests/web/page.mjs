// SPDX-License-Identifier: Apache-2.0
//
// The page in a real browser, against a controller that is none (mock.mjs): what people see and do.

import assert from "node:assert/strict";
import * as clusters from "./cluster.mjs";
import { clickOn, drawn, elements, fixture, gone, idle, positions, same, search, watch } from "./fixture.mjs";
import { eventually, main, test } from "./tap.mjs";
import "./page_alerts.mjs";
import "./page_policies.mjs";

// ---- Coming in ---------------------------------------------------------------------------------------

test("asks_for_a_token_and_says_where_it_is", async (w) => {
	const { tab } = await w.open(clusters.shop(), "/", { token: null });
	await tab.locator("#login").waitFor();
	assert.match(await tab.locator("#where").innerText(), /operator\.token/);
	await tab.locator("#token").fill("wrong");
	await tab.locator("#login button").click();
	await tab.locator("#login [role=alert]").waitFor();
	await tab.locator("#token").fill("operator");
	await tab.locator("#login button").click();
	await drawn(tab, "shop/Deployment/front");
	const kept = await tab.evaluate(() => JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie]));
	assert.ok(!kept.includes("operator"), "the token is not kept by the page");
});

test("loads_under_the_strict_policy_without_a_complaint", async (w) => {
	const { tab, mock } = await w.open(clusters.shop());
	await drawn(tab, "shop/Deployment/front");
	const foreign = mock.requests.filter(({ path }) => !path.startsWith("/api/v1/"));
	assert.deepEqual(foreign, []);
	assert.equal(await tab.locator("style, script:not([src]), [style*='url']").count(), 0, "inline scripts or styles");
	// The policy itself is what the test believes it is.
	await tab.evaluate(() => {
		const script = document.createElement("script");
		script.textContent = "window.inline = 1";
		document.body.append(script);
	});
	assert.equal(await tab.evaluate(() => window.inline), undefined);
	w.errors.splice(0, w.errors.length, ...w.errors.filter((text) => !/inline script/.test(text)));
});

test("a_session_that_ends_leads_back_to_the_login", async (w) => {
	const { tab, mock } = await w.open(clusters.shop());
	mock.sessions.clear();
	await tab.locator("[data-state=denied]").click();
	await tab.locator("#login").waitFor();
});

// ---- The graph ---------------------------------------------------------------------------------------

test("a_live_edge_appears_without_moving_anything", async (w) => {
	const { tab, mock } = await w.open(clusters.shop());
	await drawn(tab, "shop/Deployment/front");
	await tab.locator("#live.live").waitFor();
	const before = await positions(tab);
	const fresh = clusters.workload("shop", "Deployment", "recommender");
	const front = clusters.workload("shop", "Deployment", "front");
	mock.add(clusters.conversation(front, fresh, 8080, { app: "grpc" }));
	await drawn(tab, fresh.id);
	await drawn(tab, `${front.id}>${fresh.id}>allowed`);
	same(before, await positions(tab));
});

test("what_is_being_typed_survives_live_updates", async (w) => {
	const { tab, mock } = await w.open(clusters.shop());
	await tab.locator("#live.live").waitFor();
	await tab.locator("#filter-ports").focus();
	await tab.keyboard.type("54");
	mock.add(clusters.conversation(clusters.workload("shop", "Deployment", "front"), clusters.workload("shop", "Deployment", "late"), 81));
	await drawn(tab, "shop/Deployment/late");
	assert.equal(await tab.locator("#filter-ports").inputValue(), "54");
	await tab.keyboard.type("32");
	await tab.keyboard.press("Enter");
	await gone(tab, "shop/Deployment/late");
	assert.equal((await search(tab)).get("port"), "5432");
});

test("live_updates_keep_selection_and_focus", async (w) => {
	const { tab, mock } = await w.open(clusters.shop(), "/?sel=n.shop/Deployment/front");
	await tab.locator("#panel [data-quarantine]").waitFor();
	await tab.locator("#panel [data-quarantine]").focus();
	mock.add(clusters.conversation(clusters.workload("shop", "Deployment", "front"), clusters.workload("shop", "Deployment", "late"), 81));
	await drawn(tab, "shop/Deployment/late");
	assert.equal(await tab.evaluate(() => document.activeElement?.hasAttribute("data-quarantine")), true, "focus stays");
	assert.equal((await search(tab)).get("sel"), "n.shop/Deployment/front");
});

test("namespaces_open_and_close_in_place", async (w) => {
	const { tab } = await w.open(clusters.shop(), "/?open=");
	await drawn(tab, "ns:shop");
	assert.ok(!(await elements(tab)).some((e) => e.id === "shop/Deployment/front"));
	const closed = await positions(tab);
	await tab.getByRole("button", { name: "Open shop" }).click();
	await drawn(tab, "shop/Deployment/front");
	const opened = await positions(tab);
	same(closed, opened);
	assert.equal((await search(tab)).get("open"), "shop");
	await tab.getByRole("button", { name: "Close shop" }).click();
	await gone(tab, "shop/Deployment/front");
	same(closed, await positions(tab));
	await tab.getByRole("button", { name: "Open shop" }).click();
	await drawn(tab, "shop/Deployment/front");
	same(opened, await positions(tab));
});

test("a_workload_lies_on_its_namespace", async (w) => {
	const { tab } = await w.open(clusters.shop());
	await drawn(tab, "shop/Deployment/front");
	const all = await elements(tab);
	const at = await positions(tab);
	for (const card of all.filter((e) => e.classes.includes("card"))) {
		const frame = all.find((e) => e.id === card.data.island);
		const dx = Math.abs(at[card.id].x - at[frame.id].x);
		const dy = Math.abs(at[card.id].y - at[frame.id].y);
		assert.ok(dx < frame.data.w / 2 && dy < frame.data.h / 2, `${card.id} lies outside of ${frame.id}`);
	}
	const frames = all.filter((e) => e.classes.includes("island"));
	for (const a of frames) {
		for (const b of frames) {
			if (a.id >= b.id) continue;
			const apart = Math.abs(at[a.id].x - at[b.id].x) >= (a.data.w + b.data.w) / 2 || Math.abs(at[a.id].y - at[b.id].y) >= (a.data.h + b.data.h) / 2;
			assert.ok(apart, `${a.id} and ${b.id} overlap`);
		}
	}
});

test("places_are_remembered_between_visits", async (w) => {
	const { tab } = await w.open(clusters.shop());
	await drawn(tab, "shop/Deployment/front");
	const box = await tab.locator("#graph").boundingBox();
	const from = await tab.evaluate(() => window.bulkhead.screen("shop/Deployment/front"));
	const old = (await positions(tab))["shop/Deployment/front"];
	await tab.mouse.move(box.x + from.x, box.y + from.y);
	await tab.mouse.down();
	await tab.mouse.move(box.x + from.x + 20, box.y + from.y + 14, { steps: 5 });
	await tab.mouse.up();
	const dragged = await positions(tab);
	assert.notDeepEqual(dragged["shop/Deployment/front"], old, "it was dragged");
	await tab.reload();
	await drawn(tab, "shop/Deployment/front");
	same(dragged, await positions(tab));
});

test("states_are_told_apart_by_more_than_colour", async (w) => {
	const { tab } = await w.open(clusters.shop());
	const line = (await drawn(tab, "shop/CronJob/nightly-report>data/StatefulSet/postgres>would-deny")).data;
	assert.equal(line.state, "would-deny");
	const style = await tab.evaluate(() => {
		const cy = document.getElementById("graph")._cyreg.cy;
		const of = (state) => cy.edges(`[state = '${state}']`)[0];
		return {
			wouldDeny: of("would-deny").style("line-style"),
			allowed: of("allowed").style("line-style"),
			denied: of("denied").style("target-arrow-shape"),
			widths: cy.edges("[state = 'allowed']").map((e) => [e.data("width"), e.id()]),
		};
	});
	assert.equal(style.wouldDeny, "dashed");
	assert.equal(style.allowed, "solid");
	assert.equal(style.denied, "tee");
	assert.ok(new Set(style.widths.map(([width]) => width)).size > 3, "more bytes are wider");
});

// ---- Filter, URL, views --------------------------------------------------------------------------------

test("the_filter_lives_in_the_address_and_comes_back_from_it", async (w) => {
	const { tab, url, context } = await w.open(clusters.shop());
	await drawn(tab, "shop/Deployment/front");
	await tab.locator("[data-state=would-deny]").click();
	await tab.locator("#filter-apps").selectOption("postgresql");
	await eventually(async () => (await tab.locator("#tally").innerText()).startsWith("1 of 31"), "one is left");
	await tab.keyboard.press("/");
	await tab.keyboard.type("nightly");
	await eventually(async () => (await search(tab)).get("q") === "nightly", "the search is in the address");
	assert.equal((await search(tab)).get("verdict"), "would-deny");
	const other = await context.newPage();
	watch(w, other);
	await other.goto(url + new URL(tab.url()).search);
	await drawn(other, "shop/CronJob/nightly-report");
	assert.equal(await other.locator("#search").inputValue(), "nightly");
	assert.equal(await other.locator("[data-state=would-deny]").getAttribute("aria-pressed"), "true");
	assert.equal(await other.locator("#filter-apps").inputValue(), "postgresql");
	await tab.goBack();
	await eventually(async () => (await search(tab)).get("app") === null && (await search(tab)).get("verdict") === "would-deny", "Back takes the last step back");
});

test("graph_matrix_and_table_show_the_same", async (w) => {
	const { tab, mock } = await w.open(clusters.shop(), "/?verdict=denied,would-deny");
	const wanted = mock.conversations.filter((c) => c.state !== "allowed");
	const pairs = new Set(wanted.map((c) => `${c.client.id}>${c.server.id}`));
	await eventually(async () => (await elements(tab)).filter((e) => "source" in e.data).length === pairs.size, "lines of the graph");
	await tab.keyboard.press("2");
	await tab.locator("#matrix").waitFor();
	assert.equal(await tab.locator("#matrix button.cell").count(), pairs.size);
	await tab.keyboard.press("3");
	await tab.locator("#conversations").waitFor();
	await eventually(async () => (await tab.locator("#conversations tbody tr").count()) === wanted.length, "lines of the table");
	const shown = await tab.locator("#conversations tbody tr").evaluateAll((rows) => rows.map((row) => row.dataset.id));
	assert.deepEqual(shown.sort(), wanted.map((c) => c.id).sort());
	assert.equal((await search(tab)).get("view"), "table");
	assert.equal((await search(tab)).get("verdict"), "denied,would-deny");
});

test("what_is_shown_can_be_saved_in_five_formats", async (w) => {
	const { tab } = await w.open(clusters.shop(), "/?verdict=denied&window=1h");
	await tab.getByLabel("Export what is shown").click();
	const links = await tab.locator("a[href^='/api/v1/export']").evaluateAll((all) => all.map((a) => a.href));
	const asked = links.map((href) => new URL(href).searchParams);
	assert.deepEqual(asked.map((q) => q.get("format")).sort(), ["csv", "dot", "graphml", "json", "svg"]);
	for (const q of asked) assert.equal(q.get("verdict"), "denied", "under the same filter");
});

test("the_table_keeps_its_place_when_data_moves", async (w) => {
	const { tab, mock } = await w.open(clusters.large(120, 6), "/?view=table&sort=name");
	await tab.locator("#conversations tbody tr").nth(60).waitFor();
	const row = tab.locator("#conversations tbody tr").nth(50);
	await row.scrollIntoViewIfNeeded();
	const id = await row.getAttribute("data-id");
	await row.locator("button").focus();
	const top = await tab.locator(".scroll").evaluate((e) => e.scrollTop);
	assert.ok(top > 0);
	const moved = mock.conversations[3];
	moved.flows += 123_456;
	const { length } = mock.requests;
	mock.add(moved);
	await eventually(() => mock.requests.slice(length).some(({ path }) => path === "/api/v1/edges"), "it is fetched again");
	await eventually(async () => (await tab.locator("#conversations").innerText()).includes(moved.flows.toLocaleString("en")), "the new number is there");
	assert.equal(await tab.locator(".scroll").evaluate((e) => e.scrollTop), top);
	assert.equal(await tab.evaluate(() => document.activeElement.closest("tr")?.dataset.id), id);
});

test("a_comparison_shows_what_is_new_gone_and_judged_otherwise", async (w) => {
	const { tab, mock } = await w.open(clusters.shop(), "/", {
		prepare: (m) => {
			m.conversations[14].fresh = true;
			m.conversations[13].was = "allowed";
			m.vanished = m.conversations.splice(6, 1);
		},
	});
	const lost = mock.vanished[0];
	await tab.locator("#compare").selectOption("before");
	await drawn(tab, `gone:${lost.id}`);
	const all = await elements(tab);
	const of = (c) => all.find((e) => e.data.source === c.client.id && e.data.target === c.server.id && e.data.state === c.state);
	assert.ok(of(mock.conversations.find((c) => c.fresh)).classes.includes("new"));
	assert.ok(of(mock.conversations.find((c) => c.was)).classes.includes("changed"));
	assert.ok(all.find((e) => e.id === `gone:${lost.id}`).classes.includes("vanished"));
	assert.match(await tab.locator("#tally").innerText(), /1 new, 1 gone, 1 judged otherwise/);
	await tab.keyboard.press("3");
	await eventually(async () => (await tab.locator("#conversations tbody tr").count()) === 3, "the table has the three");
	await tab.keyboard.press("2");
	await eventually(async () => (await tab.locator("#matrix .cell.vanished").count()) === 1, "the matrix has the one that is gone");
});

// ---- Why -----------------------------------------------------------------------------------------------

test("a_click_on_a_line_says_why", async (w) => {
	const { tab } = await w.open(clusters.shop());
	await clickOn(tab, "shop/Deployment/front>data/StatefulSet/postgres>denied");
	const panel = tab.locator("#panel");
	await panel.locator(".verdict").waitFor();
	const text = await panel.innerText();
	for (const part of ["Denied", "TCP 5432", "Dropped by the ingress of data/postgres", "isolated by data/postgres, no rule matched", "Last seen", "Round trip", "Encryption"]) {
		assert.ok(text.includes(part), `the panel says ${JSON.stringify(part)}`);
	}
	assert.ok((await panel.locator(".chart svg g").count()) > 5, "bytes over time");
});

test("an_end_that_was_not_asked_lately_says_so", async (w) => {
	const { tab, mock } = await w.open(clusters.shop());
	const denied = mock.conversations.find((c) => c.state === "denied");
	const hourAgo = new Date(Date.now() - 36e5).toISOString();
	mock.ends.set(`${denied.id} egress`, { last: hourAgo, stale: "changed" });
	mock.ends.set(`${denied.id} ingress`, { last: hourAgo, stale: "older" });
	await clickOn(tab, "shop/Deployment/front>data/StatefulSet/postgres>denied");
	await tab.locator("#panel .verdict").waitFor();
	const [client, server] = await tab.locator("#panel .side").allInnerTexts();
	assert.match(client, /last seen 60 min ago|last seen 1 h ago/);
	assert.match(client, /has changed since/);
	assert.match(server, /Nothing has come this far since/);
	assert.equal(await tab.locator("#panel .side.stale").count(), 2);
	mock.ends.clear();
	await clickOn(tab, "shop/CronJob/nightly-report>data/StatefulSet/postgres>would-deny");
	await tab.getByText("Passes today").waitFor();
	assert.equal(await tab.locator("#panel .side.stale").count(), 0);
});

test("would_deny_says_what_enforcing_would_do", async (w) => {
	const { tab } = await w.open(clusters.shop());
	await clickOn(tab, "shop/CronJob/nightly-report>data/StatefulSet/postgres>would-deny");
	await tab.locator("#panel .verdict").waitFor();
	const text = await tab.locator("#panel").innerText();
	assert.match(text, /Passes today\. Enforced, the ingress of data\/postgres would drop it/);
	assert.match(text, /Enforced, it would deny/);
});

test("allow_this_shows_the_policy_and_changes_nothing", async (w) => {
	const { tab, mock } = await w.open(clusters.shop());
	await clickOn(tab, "shop/Deployment/front>data/StatefulSet/postgres>denied");
	mock.changes.set(mock.conversations.find((c) => c.state === "denied"), "newly-allowed");
	await tab.locator("#allow").click();
	const policy = await tab.locator("#policy").innerText();
	assert.match(policy, /kind: NetworkPolicy/);
	assert.match(policy, /name: allow-front-to-postgres-5432/);
	await tab.getByText(/newly allow 1 and newly deny 0/).waitFor();
	assert.deepEqual(mock.requests.filter(({ method }) => method === "PUT"), []);
});

test("a_line_that_is_many_lists_them_and_leads_to_each", async (w) => {
	const { tab } = await w.open(clusters.shop(), "/?open=");
	await clickOn(tab, "ns:shop>ns:data>allowed");
	const rows = tab.locator("#panel .rows button.row");
	await rows.first().waitFor();
	assert.equal(await rows.count(), 5);
	await rows.first().click();
	await tab.locator("#panel .verdict").waitFor();
	await tab.getByRole("button", { name: "Back" }).click();
	await rows.first().waitFor();
});

// ---- Orders ----------------------------------------------------------------------------------------------

test("enforcing_leads_through_the_gate", async (w) => {
	const { tab, mock } = await w.open(clusters.shop());
	await tab.locator("#namespaces .name", { hasText: "shop" }).click();
	await tab.locator("[data-mode=enforce]").click();
	await tab.locator("#gate").waitFor();
	const text = await tab.locator("#gate").innerText();
	assert.match(text, /Observed for 2 days/);
	assert.match(text, /1 conversation \(556 flows\) that pass today would be denied/);
	assert.match(text, /from 1 client[\s\S]*monitoring\/prometheus → shop\/front/);
	assert.deepEqual(mock.requests.filter(({ method }) => method === "PUT"), [], "nothing is ordered yet");
	await tab.getByRole("button", { name: "Not now" }).click();
	await tab.locator("#gate").waitFor({ state: "detached" });
	await tab.locator("[data-mode=enforce]").click();
	await tab.locator("#enforce").click();
	await eventually(() => mock.modes.shop === "enforce", "it is ordered");
	await eventually(async () => (await tab.locator("[data-mode=enforce]").getAttribute("aria-pressed")) === "true", "and shown");
});

test("a_namespace_that_is_ready_says_so", async (w) => {
	const { tab } = await w.open(clusters.shop());
	await tab.locator("#namespaces .name", { hasText: "kube-system" }).click();
	await tab.locator("[data-mode=enforce]").click();
	await tab.locator("#gate.ready").waitFor();
	assert.match(await tab.locator("#gate").innerText(), /Ready to enforce[\s\S]*None of it would be denied/i);
});

test("a_pod_is_cut_off_in_two_clicks_and_let_back_in_one", async (w) => {
	const { tab, mock } = await w.open(clusters.shop(), "/?sel=n.shop/Pod/debug");
	const button = tab.locator("[data-quarantine='shop/debug']");
	await button.click();
	assert.equal(mock.quarantined.size, 0, "the first click only asks");
	await tab.getByRole("button", { name: "Cut off now" }).waitFor();
	assert.equal(mock.quarantined.size, 0);
	await button.click();
	await eventually(() => mock.quarantined.has("shop/debug"), "cut off");
	await tab.locator("[data-release='shop/debug']").click();
	await eventually(() => mock.quarantined.size === 0, "back");
});

test("a_reader_is_offered_no_orders", async (w) => {
	const { tab } = await w.open(clusters.shop(), "/?sel=n.shop/Pod/debug", { token: "reader" });
	await tab.locator("#panel .pods li").waitFor();
	assert.equal(await tab.locator("[data-quarantine]").count(), 0);
	await tab.locator("#namespaces .name", { hasText: "shop" }).click();
	await tab.locator("[data-mode=enforce]").waitFor();
	assert.equal(await tab.locator("[data-mode=enforce]").isDisabled(), true);
});

// ---- Strangers' text ------------------------------------------------------------------------------------

test("labels_that_are_markup_are_inert_everywhere", async (w) => {
	const cluster = clusters.hostile();
	const evil = cluster.conversations.at(-1);
	const { tab, mock } = await w.open(cluster, "/", {
		prepare: (m) => {
			m.problems = [{ source: "policy", code: "invalid-policy", object: evil.client.name, text: evil.text }];
			m.alerts = [clusters.alert("new-edge", [evil], { text: evil.text })];
			m.lock(evil.client.namespace, evil.client.name);
			m.changes.set(evil, "newly-allowed");
			m.labels = { [evil.client.namespace]: { [evil.client.name]: evil.client.name } };
		},
	});
	await drawn(tab, evil.client.id);
	const everywhere = [
		() => clickOn(tab, evil.client.id),
		() => clickOn(tab, `${evil.client.id}>${evil.server.id}>denied`).then(() => tab.locator("#panel").waitFor()),
		() => tab.goto(`${new URL(tab.url()).origin}/?sel=c.${evil.id}`).then(() => tab.locator("#allow").click()),
		() => tab.locator("#policy").waitFor(),
		() => tab.locator("#namespaces .name").first().click(),
		() => tab.locator("[data-mode=enforce]").click(),
		() => tab.keyboard.press("2").then(() => tab.locator("#matrix").waitFor()),
		() => tab.keyboard.press("3").then(() => tab.locator("#conversations").waitFor()),
		() => tab.keyboard.press("s").then(() => tab.locator("#drawer").waitFor()),
		() => tab.keyboard.press("1").then(() => tab.mouse.move(700, 300)),
		() => tab.locator("#bell").click().then(() => tab.locator("#alerts summary").click()),
		() => tab.goto(`${new URL(tab.url()).origin}/?side=baseline.${encodeURIComponent(evil.client.namespace)}`).then(() => tab.locator("#usual").waitFor()),
		() => tab.goto(`${new URL(tab.url()).origin}/?side=suggest.${encodeURIComponent(evil.client.namespace)}`).then(() => tab.locator("#left").waitFor()),
		() => tab.locator("#trial").click().then(() => tab.locator("#candidate").fill(`kind: NetworkPolicy ${evil.text}`)),
		() => tab.locator("#try").click().then(() => tab.locator("#outcome").waitFor()),
	];
	for (const step of everywhere) {
		await step();
		await idle(tab);
		assert.equal(await tab.evaluate(() => window.pwned), undefined);
		assert.equal(await tab.locator("img, iframe, object, #page script").count(), 0);
	}
	assert.ok((await tab.locator("#namespaces").innerText()).includes("<img"), "it is shown, as text");
	assert.ok(!mock.requests.some(({ path }) => path === "/x"), "nothing was fetched for it");
});

test("an_address_that_is_nonsense_is_survived", async (w) => {
	const { tab } = await w.open(clusters.shop(), "/?view=%3Cscript%3E&last=9999999999y&from=x&open=__proto__,constructor&group=label:&sel=zz.1&sort=..&verdict=a,b&before=x~y&ns=%00");
	await tab.locator("#nothing-matches").waitFor();
	await tab.locator("#clear").click();
	await drawn(tab, "ns:shop");
});

test("a_map_in_storage_that_is_nonsense_is_forgotten", async (w) => {
	const { tab } = await w.open(clusters.shop());
	await drawn(tab, "shop/Deployment/front");
	const keys = await tab.evaluate(() => Object.keys(localStorage).filter((key) => key.startsWith("bulkhead.map")));
	assert.equal(keys.length, 1);
	for (const nonsense of ["{", "[]", "null", '{"islands": {"ns:shop": {"x": "a"}}, "cards": {"shop/Deployment/front": {"island": "ns:none"}}}', '{"islands": 7}']) {
		await tab.evaluate(([key, text]) => localStorage.setItem(key, text), [keys[0], nonsense]);
		await tab.reload();
		await drawn(tab, "shop/Deployment/front");
	}
});

// ---- Much ------------------------------------------------------------------------------------------------

test("three_hundred_workloads_stay_usable", async (w) => {
	const { tab, mock } = await w.open(clusters.large(300, 15));
	await drawn(tab, "ns:team-00");
	const bounded = async () => {
		const { length } = await elements(tab);
		assert.ok(length > 10 && length <= 320, `${length} elements`);
	};
	await bounded();
	const before = await positions(tab);
	for (const name of ["team-00", "team-01", "team-02"]) await tab.getByRole("button", { name: `Open ${name}` }).click();
	await eventually(async () => (await elements(tab)).some((e) => e.data.island === "ns:team-02"), "opened");
	await bounded();
	same(before, await positions(tab));
	assert.match(await tab.locator("#tally").innerText(), /folded/);
	await tab.keyboard.press("2");
	await tab.locator("#matrix").waitFor();
	assert.ok((await tab.locator("#matrix td").count()) <= 81 * 81);
	await tab.keyboard.press("3");
	await eventually(async () => (await tab.locator("#conversations tbody tr").count()) === 300, "a page of the table");
	await tab.getByRole("button", { name: "Show more" }).click();
	await eventually(async () => (await tab.locator("#conversations tbody tr").count()) === 600, "another");
	await tab.keyboard.press("1");
	await tab.locator("#namespaces .name", { hasText: "team-07" }).click();
	await tab.locator("#panel .switch").waitFor();
	assert.ok(mock.requests.length < 200, "and the controller is not flooded");
});

test("a_burst_of_events_is_fetched_a_few_times_only", async (w) => {
	const { tab, mock } = await w.open(clusters.shop());
	await tab.locator("#live.live").waitFor();
	await idle(tab);
	const { length } = mock.requests;
	for (let i = 0; i < 500; i++) mock.tell("edges", { edges: [mock.conversations[i % 30]], more: 0 });
	mock.add(clusters.conversation(clusters.workload("shop", "Deployment", "front"), clusters.workload("shop", "Deployment", "after"), 80));
	await drawn(tab, "shop/Deployment/after");
	const graphs = mock.requests.slice(length).filter(({ path }) => path === "/api/v1/graph").length;
	assert.ok(graphs >= 1 && graphs <= 4, `${graphs} fetches of the graph`);
});

// ---- When something is wrong -------------------------------------------------------------------------------

test("a_controller_that_goes_away_is_told_and_comes_back_by_itself", async (w) => {
	const { tab, mock } = await w.open(clusters.shop());
	await drawn(tab, "shop/Deployment/front");
	mock.broken = true;
	for (const stream of mock.streams) stream.destroy();
	await tab.locator("#theme").click();
	await tab.locator("[data-state=denied]").click();
	await tab.locator("#stale").waitFor();
	assert.match(await tab.locator("footer").innerText(), /does not answer/);
	assert.ok((await elements(tab)).length > 0, "what was seen is still there");
	mock.broken = false;
	await tab.locator("#stale").waitFor({ state: "detached" });
	await tab.locator("#live.live").waitFor();
});

test("losses_and_problems_are_always_in_sight", async (w) => {
	const { tab, mock } = await w.open(clusters.shop());
	await tab.locator("#live.live").waitFor();
	mock.losses = { "events-lost-ring": 1234 };
	mock.problems = [{ source: "policy", code: "invalid-policy", object: "shop/web", text: "spec.ingress[0].from[1]: nothing in it" }];
	mock.tell("status", { ...mock.status(), sources: [{ kind: "kube", state: "stale", name: "https://10.96.0.1", since: new Date().toISOString() }] });
	await eventually(async () => /1,234 lost/.test(await tab.locator("#status-losses").innerText()), "what was lost");
	assert.match(await tab.locator("footer").innerText(), /API server is away/);
	await tab.locator("#status-problems").click();
	assert.match(await tab.locator("#drawer").innerText(), /invalid-policy[\s\S]*spec\.ingress/);
	await tab.keyboard.press("Escape");
	await tab.locator("#drawer").waitFor({ state: "detached" });
});

test("nothing_to_show_says_what_to_do", async (w) => {
	const none = await w.open({});
	await none.tab.locator("#nothing-here").waitFor();
	await none.tab.getByRole("button", { name: "Look at everything known" }).click();
	await none.tab.locator("#nothing-yet").waitFor();
	assert.match(await none.tab.locator("#nothing-yet").innerText(), /bulkhead doctor/);
	await none.tab.locator("#live.live").waitFor();
	none.mock.add(clusters.conversation(clusters.workload("a", "Pod", "x"), clusters.workload("a", "Pod", "y"), 80));
	await drawn(none.tab, "a/Pod/x");
	const full = await w.open(clusters.shop(), "/?q=nosuchthing");
	await full.tab.locator("#nothing-matches").waitFor();
	await full.tab.getByRole("button", { name: "Clear the filter" }).click();
	await drawn(full.tab, "shop/Deployment/front");
});

// ---- Looks and keys -----------------------------------------------------------------------------------------

test("light_and_dark_follow_the_system_and_the_switch", async (w) => {
	const ground = (tab) => tab.evaluate(() => getComputedStyle(document.body).backgroundColor);
	const dark = await w.open(clusters.shop(), "/", { colorScheme: "dark" });
	const light = await w.open(clusters.shop(), "/", { colorScheme: "light" });
	const [a, b] = [await ground(dark.tab), await ground(light.tab)];
	assert.notEqual(a, b);
	await light.tab.locator("#theme").click();
	await eventually(async () => (await ground(light.tab)) === a, "switched");
	await light.tab.reload();
	await eventually(async () => (await ground(light.tab)) === a, "and remembered");
});

test("text_has_contrast_in_light_and_dark", async (w) => {
	for (const colorScheme of ["light", "dark"]) {
		const { tab } = await w.open(clusters.shop(), "/", { colorScheme });
		const poor = await tab.evaluate(() => {
			const style = getComputedStyle(document.documentElement);
			const light = (name) => {
				const hex = style.getPropertyValue(`--${name}`).trim();
				const [r, g, b] = [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16) / 255).map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
				return 0.2126 * r + 0.7152 * g + 0.0722 * b;
			};
			const ratio = (a, b) => (Math.max(light(a), light(b)) + 0.05) / (Math.min(light(a), light(b)) + 0.05);
			const text = ["ground", "canvas", "surface", "raised", "island", "hover", "selected"].flatMap((ground) => [["text", ground, 4.5], ["muted", ground, 4.5]]);
			const marks = ["allowed", "would-deny", "denied"].flatMap((state) => [[state, `${state}-ground`, 4.5], [state, "surface", 4.5]]);
			const lines = [["allowed-line", "canvas", 3], ["denied-line", "canvas", 3], ["accent-text", "accent", 4.5], ["fresh", "surface", 4.5], ["changed", "surface", 4.5]];
			return [...text, ...marks, ...lines].map(([a, b, least]) => [a, b, ratio(a, b), least]).filter(([, , got, least]) => !(got >= least));
		});
		assert.deepEqual(poor, [], colorScheme);
	}
});

test("the_graph_can_be_read_and_walked_without_seeing_it", async (w) => {
	const { tab, mock } = await w.open(clusters.shop());
	await drawn(tab, "shop/Deployment/front");
	assert.match(await tab.locator("#graph").getAttribute("aria-label"), /22 nodes, 31 lines, 3 denied, 4 would be denied/);
	const rows = await tab.locator("#outline tbody tr").allInnerTexts();
	const lines = (await elements(tab)).filter((e) => "source" in e.data).length;
	const nodes = (await elements(tab)).filter((e) => e.classes.includes("card")).length;
	assert.ok(rows.length >= lines + nodes, `${rows.length} rows for ${lines} lines and ${nodes} nodes`);
	const row = rows.find((text) => /shop\/nightly-report → data\/postgres/.test(text));
	assert.match(row, /Would be denied[\s\S]*TCP 5432 · PostgreSQL[\s\S]*a database \(PostgreSQL\), plain text/);
	const box = () => tab.locator("#outline").boundingBox();
	assert.ok((await box()).width <= 1, "out of sight");
	await tab.keyboard.press("l");
	assert.ok((await box()).width > 300, "in sight while the focus is in it");
	const focused = () => tab.evaluate(() => document.activeElement.dataset.line);
	const first = await focused();
	await tab.keyboard.press("ArrowDown");
	const second = await focused();
	assert.notEqual(second, first);
	assert.ok((await elements(tab)).find(({ id }) => id === second).classes.includes("near"), "it stands out in the graph");
	await tab.keyboard.press("Enter");
	await tab.locator("#panel .verdict").waitFor();
	assert.equal((await search(tab)).get("sel"), `e.${second}`);
	assert.equal(await tab.evaluate(() => document.activeElement.id), "panel", "and one goes on in the panel");
	mock.add(clusters.conversation(clusters.workload("shop", "Pod", "debug"), clusters.workload("data", "StatefulSet", "redis"), 6379, { state: "denied" }));
	await eventually(async () => /Denied now: debug to redis/.test(await tab.locator("#news").innerText()), "what is new is said");
	await tab.locator("[data-state=denied]").click();
	await eventually(async () => /4 conversations shown/.test(await tab.locator("#news").innerText()), "and what a filter leaves");
});

test("what_is_spoken_is_said_in_words", async (w) => {
	const { tab, mock } = await w.open(clusters.shop(), "/", {
		prepare: (m) => {
			const c = m.conversations.find(({ client }) => client.name === "nightly-report");
			Object.assign(c, { resets: 3, refusals: 2 });
		},
	});
	const by = (name) => mock.conversations.find(({ client }) => client.name === name);
	const at = async (c) => {
		await tab.goto(`${new URL(tab.url()).origin}/?sel=c.${c.id}`);
		await tab.locator("#kind").waitFor();
		return tab.locator("#panel").innerText();
	};
	const text = await at(by("nightly-report"));
	assert.match(text, /This is a database \(PostgreSQL\), spoken in plain text\. Whoever can listen/);
	assert.match(text, /3 connections broken off \(RST\), 2 connections refused/);
	assert.match(await at(by("mailer")), /This is a message queue \(AMQP\), spoken in plain text/);
	assert.match(await at(mock.conversations.find(({ sni }) => sni === "api.bank.example")), /encrypted \(TLS 1\.3\)[\s\S]*api\.bank\.example/);
	const roles = new Map((await elements(tab)).filter((e) => e.data.role).map((e) => [e.id, e.data.role]));
	assert.equal(roles.get("data/StatefulSet/postgres"), "database");
	assert.equal(roles.get("data/StatefulSet/rabbitmq"), "queue");
	await tab.keyboard.press("3");
	const row = tab.locator(`tr[data-id='${by("nightly-report").id}']`);
	await row.waitFor();
	assert.match(await row.innerText(), /PostgreSQL[\s\S]*plain text[\s\S]*5/);
	const beyond = await tab.evaluate(() => document.getElementById("conversations").getBoundingClientRect().right - innerWidth);
	assert.ok(beyond <= 1, `the table is ${beyond} pixels too wide`);
});

test("pods_can_be_looked_at_one_by_one", async (w) => {
	const { tab, mock } = await w.open(clusters.shop());
	await tab.locator("#group").selectOption("pod");
	const pod = mock.pods().find(({ name }) => name.startsWith("catalog"));
	await drawn(tab, `pod:shop/${pod.name}`);
	assert.match(await tab.locator("#tally").innerText(), /31 conversations/);
	const line = (await elements(tab)).find((e) => e.data.source === `pod:shop/${pod.name}` && e.data.state === "allowed");
	await clickOn(tab, line.id);
	await tab.locator("#panel .rows button.row").first().waitFor();
	assert.equal((await search(tab)).get("group"), "pod");
});

test("the_keyboard_reaches_everything_and_help_tells", async (w) => {
	const { tab } = await w.open(clusters.shop());
	await drawn(tab, "shop/Deployment/front");
	await tab.keyboard.press("?");
	await tab.locator("#help").waitFor();
	await tab.keyboard.press("Escape");
	await tab.locator("#help").waitFor({ state: "detached" });
	await tab.keyboard.press("n");
	await tab.locator("#panel .verdict, #panel .rows").first().waitFor();
	assert.match(await tab.locator("#panel").innerText(), /Denied/);
	await tab.keyboard.press("Escape");
	await tab.locator("#panel").waitFor({ state: "detached" });
	await tab.keyboard.press("c");
	await drawn(tab, "ns:shop");
	await gone(tab, "shop/Deployment/front");
	await tab.keyboard.press("2");
	await tab.locator("#matrix button.cell").first().focus();
	await tab.keyboard.press("ArrowDown");
	assert.equal(await tab.evaluate(() => document.activeElement.classList.contains("cell")), true);
	await tab.keyboard.press("Enter");
	await tab.locator("#panel").waitFor();
	await tab.keyboard.press("p");
	await tab.locator("#live.paused").waitFor();
});

test("nothing_is_cut_off_from_small_to_large", async (w) => {
	for (const [width, height] of [[600, 900], [800, 1000], [1024, 700], [1440, 900], [3840, 2160]]) {
		const { tab } = await w.open(clusters.shop(), "/?sel=n.shop/Deployment/front", { viewport: { width, height } });
		await tab.locator("#panel").waitFor();
		const beyond = await tab.evaluate(() => {
			const out = [];
			for (const e of document.querySelectorAll("header > *, .filters > *, .sidebar, .panel, footer, #view")) {
				const box = e.getBoundingClientRect();
				if (box.width && (box.right > innerWidth + 1 || box.bottom > innerHeight + 1)) out.push(e.className || e.tagName);
			}
			return [...out, document.documentElement.scrollWidth > innerWidth ? "scrolls" : ""].filter(Boolean);
		});
		assert.deepEqual(beyond, [], `${width} by ${height}`);
	}
});

await main(fixture);
