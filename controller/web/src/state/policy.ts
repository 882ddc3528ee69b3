// SPDX-License-Identifier: Apache-2.0
//
// Policies that are suggested, and policies that are tried on what was seen. Nothing here changes what
// is in force: only what is approved and rejected of suggestions is remembered by the controller.

import { ApiError, get, post } from "../api/client";
import type { Differing, Party, Policy, PolicyDiff, Seen, Suggestion } from "../api/types";
import type { App, Trial } from "./app";
import { reason } from "./orders";
import { addSpan } from "./url";
import { fetchHolding } from "./watch";

/** What the server takes as a body is 1 MiB; the text is quoted in it. */
export const MOST_TEXT = 900_000;

/** Why this token may not ask what policies do to everybody; empty if it may. */
export function unasked(app: App): string {
	return app.state.session?.namespaces ? "What policies would do to everybody is told to tokens that are not bound to namespaces." : "";
}

/** The window that is looked at, as the API takes it in a body. "Everything known" is said as a year: without it, it would be a week. */
function span(app: App): Record<string, string> {
	const said = addSpan(new URLSearchParams(), app.state.place.span);
	return said.has("from") || said.has("last") ? Object.fromEntries(said) : { last: "365d" };
}

/** Fetches what the side panel needs, if it is not there. */
export function fetchSide(app: App): void {
	const { side } = app.state.place;
	if (side?.kind === "baseline" && app.state.holding?.namespace !== side.name) void fetchHolding(app, side.name);
	if (side?.kind === "suggest" && app.state.proposal?.namespace !== side.name) void suggest(app, side.name);
}

// ---- Suggestions -------------------------------------------------------------------------------------

export async function suggest(app: App, namespace: string): Promise<void> {
	const asked = { namespace, answer: null, error: "", deciding: [] };
	app.change({ proposal: asked });
	const current = () => app.state.proposal?.namespace === namespace;
	try {
		const answer = await get<Suggestion>("policy/suggest", new URLSearchParams({ namespace, ...span(app) }));
		if (current()) app.change({ proposal: { ...asked, answer } });
	} catch (error) {
		if (current()) app.change({ proposal: { ...asked, error: reason(error) } });
	}
}

/** What was said of a conversation that was left out, or is in it; the suggestion is made anew. */
export async function decide(app: App, what: "approve" | "reject" | "undecide", ids: string[]): Promise<void> {
	const { proposal } = app.state;
	if (!proposal) return;
	const { namespace } = proposal;
	app.change({ proposal: { ...proposal, deciding: ids } });
	const current = () => app.state.proposal?.namespace === namespace;
	try {
		const answer = await post<Suggestion>("policy/suggest", { [what]: ids, namespace, ...span(app) });
		if (current()) app.change({ proposal: { namespace, answer, error: "", deciding: [] } });
		app.tell(`The suggestion has ${answer.included.length} conversations now, ${answer.left.length} are left out.`);
	} catch (error) {
		app.notify(`Nothing was decided. ${reason(error)}`, true);
		if (current()) app.change({ proposal: { ...proposal, deciding: [] } });
	}
}

export function yamlOf(suggestion: Suggestion): string {
	return suggestion.policies.map(({ yaml }) => yaml).join("");
}

// ---- Trying ------------------------------------------------------------------------------------------

/** Another text is tried than the one that the answer is about: the answer goes. */
export function edit(app: App, text: string, name = "policy.yaml", removed = app.state.trial?.removed ?? []): void {
	app.change({ trial: { text, name, removed, answer: null, error: "", busy: false } });
}

/** There is nothing to try. */
export function isNothing({ text, removed }: Pick<Trial, "text" | "removed">): boolean {
	return text.trim() === "" && removed.length === 0;
}

export async function tryOut(app: App): Promise<void> {
	const { trial } = app.state;
	if (!trial || isNothing(trial)) return;
	if (trial.text.length > MOST_TEXT) {
		return app.change({ trial: { ...trial, answer: null, error: "That is more than the controller takes at once (1 MiB): try it in parts." } });
	}
	const asked = { ...trial, answer: null, error: "", busy: true };
	app.change({ trial: asked });
	const current = () => app.state.trial?.text === trial.text && app.state.trial.removed === trial.removed;
	try {
		const manifests = trial.text.trim() ? [{ name: trial.name, text: trial.text }] : [];
		const answer = await post<PolicyDiff>("policy/diff", { manifests, delete: trial.removed, ...span(app) });
		if (!current()) return;
		app.change({ trial: { ...asked, answer, busy: false } });
		app.tell(`It would newly deny ${answer.newlyDenied} and newly allow ${answer.newlyAllowed} conversations.`);
	} catch (error) {
		if (!current()) return;
		const missing = error instanceof ApiError && error.status === 503 ? "Too much is asked of the controller at the moment: try again." : reason(error);
		app.change({ trial: { ...asked, error: missing, busy: false } });
	}
}

/** Takes a text into the panel where policies are tried, and tries it. */
export function tryText(app: App, text: string, name: string): void {
	edit(app, text, name, []);
	app.open({ kind: "try", name: "" });
	void tryOut(app);
}

/** What if this policy were gone? */
export function tryWithout(app: App, policy: Policy): void {
	edit(app, "", "policy.yaml", [policy.namespace ? `NetworkPolicy/${policy.namespace}/${policy.name}` : `ClusterNetworkPolicy/${policy.name}`]);
	app.open({ kind: "try", name: "" });
	void tryOut(app);
}

/** Files that were dropped or chosen, one after the other. */
export async function tryFiles(app: App, files: File[]): Promise<void> {
	const texts = await Promise.all(files.slice(0, 64).map((file) => (file.size > MOST_TEXT ? "" : file.text())));
	const text = texts.filter(Boolean).join("\n---\n");
	if (!text) return app.notify("There is nothing in it that could be tried, or it is more than 1 MiB.", true);
	edit(app, text, files.length === 1 ? files[0]!.name : `${files.length} files`);
	await tryOut(app);
}

/** The same for a conversation of the graph and one that policy was asked about: their ids differ. */
export function conversationKey({ client, server, protocol, port }: Pick<Seen, "client" | "server" | "protocol" | "port">): string {
	const party = ({ namespace, kind, name }: Party) => `${namespace}/${kind}/${name}`;
	return `${party(client)} ${party(server)} ${protocol} ${port}`;
}

let lastAnswer: PolicyDiff | null = null;
let lastChanges = new Map<string, Differing["change"]>();

/** What the policies that are tried would change, by conversationKey(). */
export function trialOf(app: App): Map<string, Differing["change"]> {
	const answer = app.state.trial?.answer ?? null;
	if (answer !== lastAnswer) {
		lastAnswer = answer;
		lastChanges = new Map((answer?.edges ?? []).map((edge) => [conversationKey(edge), edge.change]));
	}
	return lastChanges;
}
