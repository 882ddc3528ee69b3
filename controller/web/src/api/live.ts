// SPDX-License-Identifier: Apache-2.0
//
// The stream of changes (server-sent events). The browser comes back by itself after a break; when
// it gives up, as it does after an answer other than 200, we come back, ever more slowly.

import type { Alert, Conversation, Status } from "./types";

export interface LiveEvents {
	/** The stream is there: whatever happened before is not told again. */
	opened(): void;
	/** It broke, or was refused; `final` when coming again is no use. */
	closed(final: boolean): void;
	edges(edges: Conversation[], more: number): void;
	status(status: Status): void;
	/** Alerts that were opened, went on or were acknowledged. */
	alerts(alerts: Alert[], more: number): void;
	/** Events were missed. */
	lost(): void;
}

const SOONEST = 1_000;
const LATEST = 30_000;

export class Live {
	private source: EventSource | null = null;
	private timer = 0;
	private wait = SOONEST;
	private query = "";
	private wanted = false;

	constructor(private readonly events: LiveEvents) {}

	/** Listens to what these filters let through; does nothing if it already does. */
	listen(query: URLSearchParams): void {
		const text = query.toString();
		if (this.wanted && text === this.query) return;
		this.query = text;
		this.wanted = true;
		this.open();
	}

	stop(): void {
		this.wanted = false;
		window.clearTimeout(this.timer);
		this.source?.close();
		this.source = null;
	}

	private open(): void {
		window.clearTimeout(this.timer);
		this.source?.close();
		const source = new EventSource(this.query ? `/api/v1/live?${this.query}` : "/api/v1/live");
		this.source = source;
		const on = <T>(name: string, handle: (data: T) => void) =>
			source.addEventListener(name, (event) => {
				if (source !== this.source) return;
				let data: T;
				try {
					data = JSON.parse((event as MessageEvent<string>).data) as T;
				} catch {
					return; // what is not JSON is not ours
				}
				handle(data);
			});
		source.onopen = () => {
			if (source !== this.source) return;
			this.wait = SOONEST;
			this.events.opened();
		};
		source.onerror = () => {
			if (source !== this.source) return;
			this.events.closed(false);
			if (source.readyState === EventSource.CLOSED) this.later();
		};
		on<{ edges: Conversation[]; more: number }>("edges", (d) => this.events.edges(d.edges, d.more));
		on<Status>("status", (d) => this.events.status(d));
		on<{ alerts: Alert[]; more: number }>("alerts", (d) => this.events.alerts(d.alerts, d.more));
		on<{ events: number }>("lost", () => this.events.lost());
		on<{ reason: string }>("bye", (d) => {
			const final = d.reason === "revoked";
			source.close();
			this.source = null;
			this.events.closed(final);
			if (!final) this.later();
		});
	}

	private later(): void {
		window.clearTimeout(this.timer);
		if (!this.wanted) return;
		this.timer = window.setTimeout(() => this.open(), this.wait);
		this.wait = Math.min(this.wait * 2, LATEST);
	}
}
