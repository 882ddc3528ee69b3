// SPDX-License-Identifier: Apache-2.0
//
// What alerts say, and how loudly. Pure.

import type { Alert, Severity } from "../api/types";

/** How bad it is with a conversation. */
export interface Alarm {
	severity: Severity;
	/** A baseline lacks it. */
	unusual: boolean;
	kinds: string[];
}

const LOUDNESS: Record<Severity, number> = { info: 1, warning: 2, high: 3 };

/** Kinds that say: this is not in the baseline. */
const UNUSUAL = new Set(["new-edge", "first-world"]);

export function isOpen(alert: Alert): boolean {
	return alert.acknowledged === null;
}

export function isUnusual(alert: Alert): boolean {
	return UNUSUAL.has(alert.kind);
}

/** Higher is worse; 0 for none, and for a severity that is not known. */
export function loudness(severity: Severity | ""): number {
	return severity ? (LOUDNESS[severity] ?? 0) : 0;
}

/** Open ones first, the worst of them first, then the latest. */
export function ordered(alerts: Alert[]): Alert[] {
	return [...alerts].sort(
		(a, b) =>
			Number(isOpen(b)) - Number(isOpen(a)) || (isOpen(a) ? loudness(b.severity) - loudness(a.severity) : 0) || b.changed - a.changed,
	);
}

let lastAlerts: Alert[] | null = null;
let lastAlarms = new Map<string, Alarm>();

/** By conversation: what open alerts say about it. */
export function alarms(alerts: Alert[] | null): Map<string, Alarm> {
	if (alerts === lastAlerts) return lastAlarms;
	const made = new Map<string, Alarm>();
	for (const alert of (alerts ?? []).filter(isOpen)) {
		for (const { edge } of alert.evidence) {
			if (!edge) continue;
			const alarm = made.get(edge) ?? { severity: alert.severity, unusual: false, kinds: [] };
			if (loudness(alert.severity) > loudness(alarm.severity)) alarm.severity = alert.severity;
			if (!alarm.kinds.includes(alert.kind)) alarm.kinds.push(alert.kind);
			alarm.unusual ||= isUnusual(alert);
			made.set(edge, alarm);
		}
	}
	[lastAlerts, lastAlarms] = [alerts, made];
	return made;
}
