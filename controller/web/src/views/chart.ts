// SPDX-License-Identifier: Apache-2.0
//
// Bytes over time, as bars: what the client sent above the line, what the server sent below it, and a
// mark where something was denied. Widths and heights are attributes: the content policy forbids
// inline styles.

import type { TemplateResult } from "lit-html";
import { html, nothing, svg } from "lit-html";
import type { Point, Series } from "../api/types";
import { bytes, clock, plural } from "../state/format";

const WIDTH = 344;
const UP = 46;
const DOWN = 34;
const BARS = 86;

interface Bar {
	from: number;
	up: number;
	down: number;
	flows: number;
	denied: number;
	wouldDeny: number;
}

/** Buckets are put together until the bars have a width one can see. */
function bars(series: Series): { bars: Bar[]; step: number } {
	const times = series.points.map((p) => Date.parse(p.time));
	const begin = Date.parse(series.window.from ?? "") || Math.min(...times);
	const end = Math.max(Date.parse(series.window.to ?? "") || 0, ...times.map((t) => t + series.step * 1000));
	const base = Math.max(series.step, 1) * 1000;
	const step = base * Math.max(1, Math.ceil((end - begin) / base / BARS));
	const count = Math.min(BARS + 1, Math.max(1, Math.ceil((end - begin) / step)));
	const made: Bar[] = Array.from({ length: count }, (_, i) => ({
		from: begin + i * step,
		up: 0,
		down: 0,
		flows: 0,
		denied: 0,
		wouldDeny: 0,
	}));
	series.points.forEach((p: Point, i) => {
		const bar = made[Math.min(count - 1, Math.max(0, Math.floor((times[i]! - begin) / step)))]!;
		bar.up += p.bytes.fromClient;
		bar.down += p.bytes.fromServer;
		bar.flows += p.flows;
		bar.denied += p.packetsDenied;
		bar.wouldDeny += p.flowsWouldDeny;
	});
	return { bars: made, step };
}

export function chart(series: Series): TemplateResult {
	if (series.points.length === 0) return html`<p class="muted">Nothing was recorded in this window.</p>`;
	const { bars: all, step } = bars(series);
	const top = Math.max(1, ...all.map((b) => b.up));
	const bottom = Math.max(1, ...all.map((b) => b.down));
	const width = WIDTH / all.length;
	const one = (bar: Bar, i: number) => {
		const up = bar.up ? Math.max(1.5, (bar.up / top) * (UP - 8)) : 0;
		const down = bar.down ? Math.max(1.5, (bar.down / bottom) * (DOWN - 4)) : 0;
		const x = i * width;
		const w = Math.max(0.8, width - (width > 3 ? 1 : 0.2));
		const wrong = bar.denied || bar.wouldDeny;
		const text = `${clock(new Date(bar.from).toISOString())}: ${bytes(bar.up)} sent, ${bytes(bar.down)} received, ${plural(bar.flows, "flow")}${
			bar.denied ? `, ${plural(bar.denied, "packet")} denied` : ""
		}${bar.wouldDeny ? `, ${bar.wouldDeny} would be denied` : ""}`;
		return svg`<g>
			<title>${text}</title>
			<rect class="hit" x=${x} y="0" width=${width} height=${UP + DOWN}></rect>
			<rect class="up" x=${x} y=${UP - up} width=${w} height=${up}></rect>
			<rect class="down" x=${x} y=${UP + 1} width=${w} height=${down}></rect>
			${wrong ? svg`<circle class=${bar.denied ? "denied" : "would-deny"} cx=${x + w / 2} cy="4" r="2.4"></circle>` : nothing}
		</g>`;
	};
	const sum = (pick: (b: Bar) => number) => all.reduce((n, b) => n + pick(b), 0);
	const label = `Bytes over time: ${bytes(sum((b) => b.up))} sent by the client, ${bytes(sum((b) => b.down))} by the server, at most ${bytes(top)} and ${bytes(bottom)} in ${step / 1000} seconds`;
	return html`<figure class="chart">
		<svg viewBox="0 0 ${WIDTH} ${UP + DOWN}" role="img" aria-label=${label} preserveAspectRatio="none">
			${all.map(one)}
			<path class="axis" d="M0 ${UP + 0.5}h${WIDTH}"></path>
		</svg>
		<figcaption>
			<span>${clock(new Date(all[0]!.from).toISOString()).slice(5, 16)}</span>
			<span><i class="up"></i>client <i class="down"></i>server</span>
			<span>${clock(new Date(all[all.length - 1]!.from + step).toISOString()).slice(5, 16)}</span>
		</figcaption>
	</figure>`;
}
