// SPDX-License-Identifier: Apache-2.0
//
// Debian's Chromium, headless, as tests use it.

import { createRequire } from "node:module";

const require = createRequire(new URL("../../controller/web/package.json", import.meta.url));

export const CHROMIUM = process.env.CHROMIUM ?? "/usr/bin/chromium";

export async function browse() {
	const { chromium } = require("playwright-core");
	return chromium.launch({
		executablePath: CHROMIUM,
		args: [
			"--no-sandbox",
			"--disable-gpu",
			"--disable-quic",
			"--no-first-run",
			"--disable-background-networking",
			"--disable-component-update",
			"--disable-sync",
			"--disable-dev-shm-usage",
		],
	});
}

/** Logs in, and waits until something is shown. */
export async function login(tab, url, path = "/", token = "operator") {
	await tab.goto(url + path);
	await tab.locator("#token").fill(token);
	await tab.locator("#login button").click();
	await tab.locator("#namespaces").waitFor({ state: "attached" });
	await tab.waitForFunction(() => document.querySelector("main#view")?.getAttribute("aria-busy") === "false");
}
