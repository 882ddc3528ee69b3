// SPDX-License-Identifier: Apache-2.0
//
// How the graph looks. Colours come from the style sheet, so light and dark are decided in one place.
// A state never speaks by colour alone: what would be denied is dashed, what is denied ends in a bar.

import type { StylesheetJson } from "cytoscape";
import { CARD_HEIGHT, CARD_WIDTH } from "./plan";

export interface Colours {
	text: string;
	muted: string;
	canvas: string;
	surface: string;
	island: string;
	islandEdge: string;
	cardEdge: string;
	allowed: string;
	wouldDeny: string;
	denied: string;
	fresh: string;
	changed: string;
	accent: string;
	warn: string;
	font: string;
	/** How much larger text is than on an ordinary screen. */
	scale: number;
}

export function readColours(element: Element): Colours {
	const style = getComputedStyle(element);
	const v = (name: string) => style.getPropertyValue(`--${name}`).trim();
	return {
		text: v("text"),
		muted: v("muted"),
		canvas: v("canvas"),
		surface: v("surface"),
		island: v("island"),
		islandEdge: v("island-edge"),
		cardEdge: v("card-edge"),
		allowed: v("allowed-line"),
		wouldDeny: v("would-deny-line"),
		denied: v("denied-line"),
		fresh: v("fresh"),
		changed: v("changed"),
		accent: v("accent"),
		warn: v("would-deny"),
		font: style.fontFamily,
		scale: Number.parseFloat(style.fontSize) / 13.5 || 1,
	};
}

/** The shape tells the kind. */
export function shapeOf(kind: string): string {
	switch (kind) {
		case "StatefulSet":
			return "barrel";
		case "Job":
		case "CronJob":
			return "cut-rectangle";
		case "DaemonSet":
			return "round-hexagon";
		case "Node":
			return "hexagon";
		case "World":
		case "Unknown":
		case "Held":
			return "ellipse";
		default:
			return "round-rectangle";
	}
}

/** Pixels, from bytes: ten times as much is a step wider. */
export function widthOf(bytes: number): number {
	return Math.min(8, 1.4 + 0.95 * Math.log10(1 + bytes / 2000));
}

export function stylesheet(c: Colours): StylesheetJson {
	return [
		{
			selector: "node",
			style: {
				"z-index-compare": "manual",
				"overlay-opacity": 0,
				"font-family": c.font,
				"text-events": "no",
			},
		},
		{
			selector: "node.island",
			style: {
				shape: "round-rectangle",
				"corner-radius": "14",
				width: "data(w)",
				height: "data(h)",
				"background-color": c.island,
				"border-width": 1.2,
				"border-color": c.islandEdge,
				"z-index": 0,
			},
		},
		{ selector: "node.island.closed", style: { "background-color": c.surface, "border-width": 1.6 } },
		{ selector: "node.island.frameless", style: { "background-opacity": 0, "border-width": 0, events: "no" } },
		{
			selector: "node.card",
			style: {
				shape: "data(shape)" as "ellipse",
				width: CARD_WIDTH,
				height: CARD_HEIGHT,
				"background-color": c.surface,
				"border-width": 1.3,
				"border-color": c.cardEdge,
				"z-index": 20,
			},
		},
		{ selector: "node.card[shape = 'ellipse']", style: { width: CARD_WIDTH + 16, height: CARD_HEIGHT + 6 } },
		{ selector: "node.card[shape = 'barrel']", style: { height: CARD_HEIGHT + 5 } },
		{ selector: "node.card.folded", style: { "border-style": "double", "border-width": 4 } },
		{ selector: "node.card.ghost", style: { "border-style": "dotted", "background-opacity": 0.4 } },
		{ selector: "node.wouldDeny", style: { "border-color": c.wouldDeny } },
		{ selector: "node.denied", style: { "border-color": c.denied } },
		{ selector: "node.quarantined", style: { "border-color": c.denied, "border-width": 3, "border-style": "double" } },
		{
			selector: "edge",
			style: {
				"curve-style": "unbundled-bezier",
				"control-point-distances": "data(bend)" as unknown as number[],
				"control-point-weights": [0.5],
				"edge-distances": "node-position",
				width: "data(width)",
				"line-color": c.allowed,
				"line-opacity": 0.75,
				"line-cap": "butt",
				"target-arrow-shape": "triangle",
				"target-arrow-color": c.allowed,
				"arrow-scale": 0.85,
				"z-index-compare": "manual",
				"z-index": 10,
				"overlay-opacity": 0,
				"font-family": c.font,
				"font-size": 11,
				color: c.text,
				"text-background-color": c.canvas,
				"text-background-opacity": 0.92,
				"text-background-padding": "3px",
				"text-background-shape": "roundrectangle",
				"text-margin-y": -15,
				"text-events": "no",
			},
		},
		{
			selector: "edge[state = 'would-deny']",
			style: {
				"line-color": c.wouldDeny,
				"target-arrow-color": c.wouldDeny,
				"line-style": "dashed",
				"line-dash-pattern": [8, 5],
				"line-opacity": 1,
				"z-index": 12,
			},
		},
		{
			selector: "edge[state = 'denied']",
			style: {
				"line-color": c.denied,
				"target-arrow-color": c.denied,
				"target-arrow-shape": "tee",
				"arrow-scale": 1.1,
				"line-opacity": 1,
				"z-index": 13,
			},
		},
		{
			selector: "edge.loop",
			style: { "curve-style": "bezier", "loop-direction": "-45deg", "loop-sweep": "60deg", "control-point-step-size": 34 },
		},
		{ selector: "edge.straight", style: { "curve-style": "straight" } },
		{ selector: "edge.quiet", style: { "line-opacity": 0.38, "arrow-scale": 0.7 } },
		{ selector: "edge.same", style: { "line-opacity": 0.18, "target-arrow-color": c.islandEdge, "z-index": 9 } },
		// Before the halos that say something: a busy line keeps its own.
		{ selector: "edge.pulse", style: { "underlay-color": c.accent, "underlay-opacity": 0.22, "underlay-padding": 4 } },
		{
			selector: "edge.new",
			style: { "underlay-color": c.fresh, "underlay-opacity": 0.35, "underlay-padding": 5, "line-opacity": 1 },
		},
		{
			selector: "edge.changed",
			style: { "underlay-color": c.changed, "underlay-opacity": 0.35, "underlay-padding": 5, "line-opacity": 1 },
		},
		{
			selector: "edge.unusual",
			style: { "underlay-color": c.warn, "underlay-opacity": 0.3, "underlay-padding": 5, "line-opacity": 1 },
		},
		{ selector: "edge.aside", style: { "line-opacity": 0.18, "target-arrow-color": c.islandEdge, "z-index": 9 } },
		{
			selector: "edge.newly-allowed",
			style: { "underlay-color": c.fresh, "underlay-opacity": 0.4, "underlay-padding": 6, "line-opacity": 1, "z-index": 14 },
		},
		{
			selector: "edge.newly-denied, edge.both",
			style: { "underlay-color": c.denied, "underlay-opacity": 0.4, "underlay-padding": 6, "line-opacity": 1, "z-index": 14 },
		},
		{
			selector: "edge.vanished",
			style: {
				"line-color": c.muted,
				"target-arrow-color": c.muted,
				"line-style": "dotted",
				"line-opacity": 0.9,
				width: 2,
			},
		},
		{ selector: ".dim", style: { opacity: 0.16 } },
		{ selector: "node.island.dim", style: { opacity: 0.6 } },
		{ selector: "edge.near", style: { "line-opacity": 1, "z-index": 15 } },
		{ selector: "edge.named", style: { label: "data(ports)", "z-index": 16 } },
		{
			selector: "node.selected",
			style: { "border-color": c.accent, "border-width": 3, "border-style": "solid" },
		},
		{
			selector: "edge.selected",
			style: {
				"underlay-color": c.accent,
				"underlay-opacity": 0.4,
				"underlay-padding": 5,
				"line-opacity": 1,
				label: "data(ports)",
				"z-index": 17,
			},
		},
	];
}
