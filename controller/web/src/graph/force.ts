// SPDX-License-Identifier: Apache-2.0
//
// fcose as a function: points and links in, points out. It begins where the points are and takes no
// chances (randomize is off), so that two browsers which see the same thing draw the same map.

import cytoscape from "cytoscape";
import fcose from "cytoscape-fcose";
import type { Force, Point } from "./plan";
import { CARD_HEIGHT, CARD_WIDTH } from "./plan";

let registered = false;

export const force: Force = (points, links) => {
	if (!registered) {
		cytoscape.use(fcose);
		registered = true;
	}
	const cy = cytoscape({
		headless: true,
		styleEnabled: true,
		style: [{ selector: "node", style: { width: CARD_WIDTH, height: CARD_HEIGHT } }],
		elements: [
			...[...points].map(([id, position]) => ({ data: { id }, position: { ...position } })),
			...links.map(({ source, target }, i) => ({ data: { id: `link ${i}`, source, target } })),
		],
	});
	const options = {
		name: "fcose",
		animate: false,
		randomize: false,
		fit: false,
		quality: points.size > 120 ? "draft" : "default",
		numIter: 800,
		nodeSeparation: 90,
		idealEdgeLength: 140,
		packComponents: false,
	};
	cy.layout(options as cytoscape.LayoutOptions).run();
	const moved = new Map<string, Point>();
	cy.nodes().forEach((node) => {
		moved.set(node.id(), { ...node.position() });
	});
	cy.destroy();
	return moved;
};
