// SPDX-License-Identifier: Apache-2.0
//
// Pictures of the page in its states, for whoever changes how it looks: shots.mjs PAGE FOLDER [NAME…].

import { mkdirSync } from "node:fs";
import { join } from "node:path";
import * as clusters from "./cluster.mjs";
import { Mock } from "./mock.mjs";
import { browse, login } from "./browser.mjs";

const [page, folder, ...only] = process.argv.slice(2);
mkdirSync(folder, { recursive: true });
const browser = await browse();

async function shot(name, { cluster = "shop", dark = false, path = "/", size = [1440, 900], prepare, act, token = "operator" } = {}) {
	if (only.length && !only.some((part) => name.includes(part))) return;
	const mock = new Mock(page, cluster ? clusters[cluster]() : {});
	prepare?.(mock);
	const url = await mock.listen();
	const context = await browser.newContext({ viewport: { width: size[0], height: size[1] }, colorScheme: dark ? "dark" : "light" });
	const tab = await context.newPage();
	tab.on("console", (m) => ["error", "warning"].includes(m.type()) && console.log(`${name}: ${m.text()}`));
	tab.on("pageerror", (e) => console.log(`${name}: ${e}`));
	if (token) await login(tab, url, path, token);
	else await tab.goto(url);
	await act?.(tab, mock);
	await tab.mouse.move(700, 5);
	await tab.evaluate(() => new Promise((r) => setTimeout(r, 700)));
	await tab.screenshot({ path: join(folder, `${name}.png`) });
	await context.close();
	await mock.close();
}

const changes = (mock) => {
	mock.conversations[14].fresh = true;
	mock.conversations[29].fresh = true;
	mock.conversations[12].fresh = true;
	mock.conversations[13].was = "allowed";
	mock.vanished = mock.conversations.splice(22, 1).concat(mock.conversations.splice(6, 1));
};
const alarmed = (mock) => {
	mock.alerts = clusters.shopAlerts(mock.conversations);
	mock.lock("data", "k3f9");
};
const changing = (mock) => {
	mock.changes.set(mock.conversations[5], "newly-denied");
	mock.changes.set(mock.conversations[9], "newly-denied");
	mock.changes.set(mock.conversations[10], "newly-allowed");
};
const POLICY = "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata:\n  name: db\n  namespace: data\nspec:\n  podSelector: {matchLabels: {app: postgres}}\n  policyTypes: [Ingress]\n";
const trying = async (tab) => {
	await tab.locator("#candidate").fill(POLICY);
	await tab.locator("#try").click();
	await tab.locator("#outcome").waitFor();
};
const by = (text) => async (tab) => tab.getByRole("button", { name: text }).first().click();
const row = (name) => async (tab) => tab.locator("#namespaces .name", { hasText: name }).first().click();

await shot("login", { token: null });
await shot("open");
await shot("open-dark", { dark: true });
await shot("closed", { path: "/?open=" });
await shot("half", { path: "/?open=shop,data" });
await shot("why", { path: "/?open=shop,data", act: async (tab, mock) => {
	await tab.evaluate(() => {});
	const c = mock.conversations.find((c) => c.state === "would-deny");
	await tab.goto(`${new URL(tab.url()).origin}/?open=shop,data&sel=c.${c.id}`);
	await tab.locator("#allow").waitFor();
} });
const old = async (tab, mock) => {
	const c = mock.conversations.find((c) => c.state === "denied");
	mock.ends.set(`${c.id} egress`, { last: new Date(Date.now() - 4e4).toISOString() });
	mock.ends.set(`${c.id} ingress`, { last: new Date(Date.now() - 72e5).toISOString(), stale: "changed" });
	await tab.goto(`${new URL(tab.url()).origin}/?open=shop,data&sel=c.${c.id}`);
	await tab.locator("#panel .side.stale").waitFor();
};
await shot("stale", { act: old });
await shot("stale-dark", { dark: true, act: old });
await shot("allow", { dark: true, act: async (tab, mock) => {
	const c = mock.conversations.find((c) => c.state === "denied");
	await tab.goto(`${new URL(tab.url()).origin}/?open=shop,data&sel=c.${c.id}`);
	await tab.locator("#allow").click();
	await tab.locator("#policy").waitFor();
} });
await shot("workload", { path: "/?sel=n.shop/Deployment/front" });
await shot("alerts", { prepare: alarmed, path: "/?side=alerts", act: (tab) => tab.locator("#alerts summary").first().click() });
await shot("alerts-dark", { dark: true, prepare: alarmed, path: "/?side=alerts" });
await shot("alerts-small", { size: [1024, 700], prepare: alarmed, path: "/?side=alerts" });
await shot("alerts-none", { path: "/?side=alerts" });
await shot("baseline", { prepare: alarmed, path: "/?side=baseline.data" });
await shot("namespace", { prepare: alarmed, act: row("data") });
await shot("suggest", { path: "/?side=suggest.shop", act: (tab) => tab.locator("#left").waitFor() });
await shot("suggest-dark", { dark: true, path: "/?side=suggest.data", act: async (tab) => { await tab.locator("#left").waitFor(); await tab.locator("#left").scrollIntoViewIfNeeded(); } });
await shot("try-empty", { path: "/?side=try" });
await shot("try", { prepare: changing, path: "/?side=try", act: trying });
await shot("try-dark", { dark: true, prepare: changing, path: "/?side=try", act: trying });
await shot("try-table", { prepare: changing, path: "/?side=try&view=table", act: trying });
await shot("matrix", { path: "/?view=matrix" });
await shot("matrix-dark", { path: "/?view=matrix", dark: true });
await shot("table", { path: "/?view=table" });
await shot("table-dark", { path: "/?view=table", dark: true });
await shot("diff", { path: "/?before=", prepare: changes });
await shot("diff-table", { path: "/?before=&view=table", prepare: changes });
await shot("gate", { act: async (tab) => { await row("shop")(tab); await tab.locator("[data-mode=enforce]").click(); await tab.locator("#enforce").waitFor(); } });
await shot("gate-ready", { dark: true, act: async (tab) => { await row("kube-system")(tab); await tab.locator("[data-mode=enforce]").click(); await tab.locator("#enforce").waitFor(); } });
await shot("nothing", { cluster: null });
await shot("no-match", { path: "/?q=nosuch" });
await shot("away", { act: async (tab, mock) => { mock.broken = true; for (const s of mock.streams) s.destroy(); await tab.locator("[data-state=denied]").click(); await tab.locator("#stale").waitFor(); } });
await shot("problems", { prepare: (mock) => { mock.losses = { "events-lost-ring": 1234 }; mock.problems = [{ source: "policy", code: "invalid-policy", object: "shop/web", text: "spec.ingress[0].from[1]: nothing in it. The pods it selects are isolated and it allows nothing until it is mended." }]; }, act: by("problem") });
await shot("large", { cluster: "large" });
await shot("large-open", { cluster: "large", path: "/?open=team-00,team-01,team-02,team-03", dark: true });
await shot("large-matrix", { cluster: "large", path: "/?view=matrix&open=team-00,team-01,team-02" });
await shot("hostile", { cluster: "hostile" });
await shot("help", { act: (tab) => tab.keyboard.press("?") });
await shot("small", { size: [1024, 700], path: "/?sel=n.shop/Deployment/front" });
await shot("narrow", { size: [768, 1000], prepare: alarmed });
await shot("narrow-list", { size: [768, 1000], act: (tab) => tab.locator("#list").click() });
await shot("narrow-panel", { size: [600, 900], dark: true, path: "/?sel=n.shop/Deployment/front" });
await shot("outline", { dark: true, act: (tab) => tab.keyboard.press("l") });
await shot("pods", { path: "/?group=pod" });
await shot("huge", { size: [3840, 2160] });
await shot("label", { path: "/?group=label:app" });
// The pictures in docs/images/.
const paper = { size: [1360, 820] };
const why = (state) => async (tab, mock) => {
	const c = mock.conversations.find((one) => one.state === state);
	await tab.goto(`${new URL(tab.url()).origin}/?sel=c.${c.id}`);
	await tab.locator("#allow").click();
	await tab.locator("#policy").waitFor();
};
await shot("doc-graph", paper);
await shot("doc-why", { ...paper, act: why("denied") });
await shot("doc-gate", { ...paper, dark: true, act: async (tab) => { await row("shop")(tab); await tab.locator("[data-mode=enforce]").click(); await tab.locator("#enforce").waitFor(); } });
await shot("doc-alerts", { ...paper, prepare: alarmed, path: "/?side=alerts", act: (tab) => tab.locator("#alerts summary").first().click() });
await shot("doc-try", { ...paper, dark: true, prepare: changing, path: "/?side=try", act: trying });
await browser.close();
