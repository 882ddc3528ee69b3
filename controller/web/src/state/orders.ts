// SPDX-License-Identifier: Apache-2.0
//
// What changes something on the node, and what only asks what a change would be.

import { ApiError, get, post, put } from "../api/client";
import type { Allowance, Mode, Modes, PolicyDiff, QuarantineAnswer, Readiness } from "../api/types";
import type { App } from "./app";
import { modeWord } from "./format";
import { addSpan } from "./url";

/** What went wrong, in one line. */
export function reason(error: unknown): string {
	if (error instanceof ApiError && error.status === 403) {
		return `Not allowed: ${error.message}`;
	}
	return error instanceof Error ? error.message : String(error);
}

function outcome(app: App, done: string, answer: { inForce?: boolean; missing?: string }): void {
	if (answer.inForce === false) {
		app.notify(`${done}: kept, but not in force yet: ${answer.missing || "it takes longer than usual"}`, true);
	} else {
		app.notify(`${done}.`);
	}
}

/** Sets a namespace's mode. Enforcing goes through the gate (askEnforce). */
export async function setMode(app: App, namespace: string, value: Mode | "clear"): Promise<void> {
	app.change({ busy: namespace });
	try {
		const answer = await put<Modes>("mode", { value, namespace });
		app.change({ gate: null });
		const done =
			value === "clear"
				? `Namespace ${namespace} follows its annotation or the node again`
				: `Namespace ${namespace} is in mode ${modeWord(value)}`;
		outcome(app, done, answer);
		app.loader.now();
	} catch (error) {
		app.notify(`The mode of ${namespace} was not changed. ${reason(error)}`, true);
	} finally {
		app.change({ busy: null });
	}
}

/** Before a namespace is enforced: what would be denied, by all that was seen. */
export async function askEnforce(app: App, namespace: string): Promise<void> {
	const gate = { namespace, readiness: null, error: "", busy: true };
	app.change({ gate });
	const current = () => app.state.gate?.namespace === namespace;
	try {
		// Everything that is known, not only the window that is looked at.
		const path = `namespaces/${encodeURIComponent(namespace)}/readiness`;
		const readiness = await get<Readiness>(path);
		if (current()) app.change({ gate: { ...gate, readiness, busy: false } });
	} catch (error) {
		if (current()) app.change({ gate: { ...gate, error: reason(error), busy: false } });
	}
}

/** The first click asks, the second does it. */
export async function quarantine(app: App, pod: string, release: boolean): Promise<void> {
	if (!release && app.state.confirming !== `pod ${pod}`) {
		app.change({ confirming: `pod ${pod}` });
		return;
	}
	app.change({ busy: pod, confirming: null });
	try {
		const answer = await put<QuarantineAnswer>("quarantine", { pod, release });
		outcome(app, release ? `${pod} is back` : `${pod} is cut off; only the node still reaches it`, answer);
		app.loader.now();
	} catch (error) {
		app.notify(`${pod} is as it was. ${reason(error)}`, true);
	} finally {
		app.change({ busy: null });
	}
}

/** The policies that would allow a conversation, and what else they would allow. */
export async function allow(app: App, conversation: string): Promise<void> {
	const asked = { conversation, answer: null, effect: null, error: "" };
	app.change({ allow: asked });
	const current = () => app.state.allow?.conversation === conversation;
	try {
		const span = Object.fromEntries(addSpan(new URLSearchParams(), app.state.place.span));
		const answer = await post<Allowance>("policy/allow", { edge: conversation, ...span });
		if (!current()) return;
		app.change({ allow: { ...asked, answer } });
		if (!answer.needed) return;
		const effect = await post<PolicyDiff>("policy/diff", { manifests: [{ name: "allow.yaml", text: answer.yaml }], ...span });
		if (current()) app.change({ allow: { ...asked, answer, effect } });
	} catch (error) {
		// The replay is an addition: without it (a token that is bound may not ask) there is still the policy.
		if (current() && !app.state.allow?.answer) app.change({ allow: { ...asked, error: reason(error) } });
	}
}

export async function copy(app: App, text: string): Promise<void> {
	try {
		await navigator.clipboard.writeText(text);
		app.notify("Copied.");
	} catch {
		app.notify("The browser does not let the page copy: select the text and copy it.", true);
	}
}

/** Saves a text as a file of the person's. */
export function save(name: string, text: string): void {
	const url = URL.createObjectURL(new Blob([text], { type: "text/plain" }));
	const link = document.createElement("a");
	link.href = url;
	link.download = name;
	link.click();
	window.setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
