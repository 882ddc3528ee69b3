// SPDX-License-Identifier: Apache-2.0
//
// Alerts and baselines: what is known of them, and what people order.

import { ApiError, get, post, put, remove } from "../api/client";
import type { Alert, Alerts, Baseline, BaselineDetail } from "../api/types";
import { isOpen, ordered } from "./alarm";
import type { App } from "./app";
import { alertKind, workloadWord } from "./format";
import { reason } from "./orders";

/** Open ones that are fetched: more cannot be read, but all are counted. */
const MOST = 500;
const MOST_ACKNOWLEDGED = 100;

/** A controller without alerts answers that there is no such path. */
export async function fetchWatch(signal: AbortSignal): Promise<{ alerts: Alert[] | null; baselines: Baseline[] }> {
	try {
		const query = new URLSearchParams({ state: "open", limit: String(MOST) });
		const [{ alerts }, { baselines }] = await Promise.all([
			get<Alerts>("alerts", query, signal),
			get<{ baselines: Baseline[] }>("baselines", undefined, signal),
		]);
		return { alerts, baselines };
	} catch (error) {
		if (error instanceof ApiError && error.missing) return { alerts: null, baselines: [] };
		throw error;
	}
}

/** What the stream tells replaces what is known. What is newly open is told to those who do not see. */
export function merge(app: App, told: Alert[]): void {
	const known = new Map((app.state.alerts ?? []).map((alert) => [alert.id, alert]));
	const fresh: Alert[] = [];
	for (const alert of told) {
		const before = known.get(alert.id);
		if (before && before.changed > alert.changed) continue;
		if (isOpen(alert) && (!before || !isOpen(before))) fresh.push(alert);
		known.set(alert.id, alert);
	}
	app.change({ alerts: [...known.values()] });
	const [worst] = ordered(fresh);
	if (worst) app.tell(`${fresh.length > 1 ? `${fresh.length} new alerts, the worst: ` : "New alert: "}${alertKind(worst.kind)}, ${worst.text}`);
}

export async function acknowledge(app: App, alert: Alert): Promise<void> {
	app.change({ busy: `alert ${alert.id}` });
	try {
		const answer = await post<{ alert: Alert }>(`alerts/${encodeURIComponent(alert.id)}/ack`, {});
		merge(app, [answer.alert]);
		app.notify(`Acknowledged: ${alertKind(alert.kind)} of ${workloadWord(alert.source)}.`);
	} catch (error) {
		app.notify(`It is still open. ${reason(error)}`, true);
	} finally {
		app.change({ busy: null });
	}
}

/** Shows those that somebody has seen to already, or leaves them away again. */
export async function showAcknowledged(app: App, shown: boolean): Promise<void> {
	app.change({ acknowledged: shown });
	if (!shown) return;
	try {
		const query = new URLSearchParams({ state: "acknowledged", limit: String(MOST_ACKNOWLEDGED) });
		merge(app, (await get<Alerts>("alerts", query)).alerts);
	} catch (error) {
		app.notify(reason(error), true);
	}
}

// ---- Baselines ---------------------------------------------------------------------------------------

function path(namespace: string): string {
	return `baselines/${encodeURIComponent(namespace)}`;
}

export function baselineOf(app: App, namespace: string): Baseline | undefined {
	return app.state.baselines.find((one) => one.namespace === namespace);
}

/** The time of this length that ends now becomes what is usual; without a length everything that was seen. */
export async function lock(app: App, namespace: string, last: string): Promise<void> {
	app.change({ busy: namespace, confirming: null });
	try {
		const detail = await put<BaselineDetail>(path(namespace), last ? { last } : {});
		const others = app.state.baselines.filter((one) => one.namespace !== namespace);
		app.change({ baselines: [...others, detail] });
		if (app.state.holding?.namespace === namespace) app.change({ holding: { namespace, detail, error: "" } });
		app.notify(`Locked: ${detail.conversations} conversations of ${namespace} are usual, everything else is an alert.`);
		app.loader.watchAgain();
	} catch (error) {
		app.notify(`The baseline of ${namespace} is as it was. ${reason(error)}`, true);
	} finally {
		app.change({ busy: null });
	}
}

/** The first click asks, the second does it. */
export async function unlock(app: App, namespace: string): Promise<void> {
	if (app.state.confirming !== `unlock ${namespace}`) {
		app.change({ confirming: `unlock ${namespace}` });
		return;
	}
	app.change({ busy: namespace, confirming: null });
	try {
		app.change(await remove<{ baselines: Baseline[] }>(path(namespace)));
		app.notify(`The baseline of ${namespace} is given up: nothing is unusual there any more.`);
		app.loader.watchAgain();
	} catch (error) {
		app.notify(`The baseline of ${namespace} is as it was. ${reason(error)}`, true);
	} finally {
		app.change({ busy: null });
	}
}

export async function fetchHolding(app: App, namespace: string): Promise<void> {
	const current = () => app.state.holding?.namespace === namespace;
	if (!current()) app.change({ holding: { namespace, detail: null, error: "" } });
	try {
		const detail = await get<BaselineDetail>(path(namespace));
		if (current()) app.change({ holding: { namespace, detail, error: "" } });
	} catch (error) {
		if (current()) app.change({ holding: { namespace, detail: null, error: reason(error) } });
	}
}
