// SPDX-License-Identifier: Apache-2.0
//
// Where things lie. A map that people keep open must not move under them, so places are decided once
// and kept: a closed island keeps the room it needs open, so opening and closing moves nothing,
// and what is new gets a free place near what it talks to. Only when an island outgrows its frame do
// those move that it would cover.
//
// Islands lie where they were first put: beside the islands they have most to do with. On an island
// cards sit in cells, in columns that are shifted by half a cell, so that a straight line seldom runs
// through a card. Which cell, is first asked of a force layout.

export const CELL_WIDTH = 172;
export const CELL_HEIGHT = 68;
export const CARD_WIDTH = 122;
export const CARD_HEIGHT = 34;
const PADDING = 16;
const HEADER = 34;
const GAP = 64;
/** Screens are wider than high, and conversations are read from left to right. */
const ASPECT = 1.9;
const ISLAND_ASPECT = 2.1;
/** How much of its place a closed island takes: the rest is room for lines. */
const CLOSED = 0.72;
const CLOSED_LEAST = { w: 184, h: 108 };

export interface Point {
	x: number;
	y: number;
}

export interface Box extends Point {
	w: number;
	h: number;
}

interface IslandPlace {
	/** Upper left corner. */
	x: number;
	y: number;
	columns: number;
	rows: number;
}

interface CardPlace {
	island: string;
	column: number;
	row: number;
	/** Where somebody dragged it, from the island's corner. */
	at?: Point;
}

export interface Plan {
	islands: Record<string, IslandPlace>;
	cards: Record<string, CardPlace>;
}

export interface Wanted {
	islands: { id: string; members: number; cards: string[] }[];
	links: { source: string; target: string }[];
}

/** A force layout: moves the points by their links. See force.ts. */
export type Force = (points: Map<string, Point>, links: { source: string; target: string }[]) => Map<string, Point>;

/** What is kept of cards that are not shown at the moment. */
const MOST_CARDS = 3000;

export function emptyPlan(): Plan {
	return { islands: {}, cards: {} };
}

export function boxOf(place: IslandPlace): Box {
	const shift = place.columns > 1 ? CELL_HEIGHT / 2 : 0;
	return {
		x: place.x,
		y: place.y,
		w: place.columns * CELL_WIDTH + 2 * PADDING,
		h: place.rows * CELL_HEIGHT + HEADER + shift + 2 * PADDING - 10,
	};
}

/** A closed island: smaller, in the middle of the place it has when it is open. */
export function closedBoxOf(place: IslandPlace): Box {
	const whole = boxOf(place);
	const w = Math.min(whole.w, Math.max(CLOSED_LEAST.w, whole.w * CLOSED));
	const h = Math.min(whole.h, Math.max(CLOSED_LEAST.h, whole.h * CLOSED));
	return { x: whole.x + (whole.w - w) / 2, y: whole.y + (whole.h - h) / 2, w, h };
}

function cellAt(column: number, row: number): Point {
	const shift = column % 2 ? CELL_HEIGHT / 2 : 0;
	return {
		x: PADDING + (column + 0.5) * CELL_WIDTH,
		y: HEADER + PADDING + (row + 0.5) * CELL_HEIGHT + shift - 5,
	};
}

/** The middle of a card. */
export function cardAt(plan: Plan, id: string): Point | null {
	const card = plan.cards[id];
	const island = card && plan.islands[card.island];
	if (!card || !island) return null;
	const inside = card.at ?? cellAt(card.column, card.row);
	return { x: island.x + inside.x, y: island.y + inside.y };
}

function gridFor(members: number): { columns: number; rows: number } {
	const n = Math.max(1, members);
	const columns = Math.max(1, Math.ceil(Math.sqrt((n * ISLAND_ASPECT * CELL_HEIGHT) / CELL_WIDTH)));
	return { columns, rows: Math.ceil(n / columns) };
}

function grow(place: IslandPlace): void {
	if (place.columns * CELL_WIDTH < place.rows * CELL_HEIGHT * ISLAND_ASPECT) place.columns++;
	else place.rows++;
}

function middle(box: Box): Point {
	return { x: box.x + box.w / 2, y: box.y + box.h / 2 };
}

function overlap(a: Box, b: Box, gap: number): boolean {
	return a.x < b.x + b.w + gap && b.x < a.x + a.w + gap && a.y < b.y + b.h + gap && b.y < a.y + a.h + gap;
}

// ---- Cards on an island ----------------------------------------------------------------------------

/** Clients to the left, servers to the right: how far from the nearest opener of conversations. */
function ranks(ids: string[], links: Wanted["links"]): Map<string, number> {
	const rank = new Map(ids.map((id) => [id, 0]));
	// A cycle would go on for ever: no rank is above the number of cards, nor above a few.
	for (let round = 0; round < Math.min(ids.length, 6); round++) {
		for (const { source, target } of links) {
			if (source === target) continue;
			const next = (rank.get(source) ?? 0) + 1;
			if (next <= 6 && next > (rank.get(target) ?? 0)) rank.set(target, next);
		}
	}
	return rank;
}

function settle(plan: Plan, island: string, ids: string[], links: Wanted["links"], force: Force): void {
	const place = plan.islands[island]!;
	const rank = ranks(ids, links);
	const used = new Map<number, number>();
	const points = new Map<string, Point>();
	for (const id of ids) {
		const column = rank.get(id)!;
		const row = used.get(column) ?? 0;
		used.set(column, row + 1);
		points.set(id, { x: column * CELL_WIDTH, y: row * CELL_HEIGHT + (column % 2) * 20 });
	}
	const moved = ids.length > 2 && links.length > 0 ? force(points, links) : points;
	const by = (axis: "x" | "y") => (a: string, b: string) =>
		moved.get(a)![axis] - moved.get(b)![axis] || (a < b ? -1 : 1);
	const order = [...ids].sort((a, b) => rank.get(a)! - rank.get(b)! || by("x")(a, b));
	const perColumn = Math.ceil(order.length / place.columns);
	for (let column = 0; column * perColumn < order.length; column++) {
		order
			.slice(column * perColumn, (column + 1) * perColumn)
			.sort(by("y"))
			.forEach((id, row) => (plan.cards[id] = { island, column, row }));
	}
}

function freeCell(plan: Plan, island: string, near: Point | null): CardPlace {
	const place = plan.islands[island]!;
	const taken = new Set<string>();
	for (const card of Object.values(plan.cards)) {
		if (card.island === island) taken.add(`${card.column},${card.row}`);
	}
	let best: CardPlace | null = null;
	let least = Infinity;
	for (let row = 0; row < place.rows; row++) {
		for (let column = 0; column < place.columns; column++) {
			if (taken.has(`${column},${row}`)) continue;
			const at = cellAt(column, row);
			const distance = near ? Math.hypot(at.x - near.x, at.y - near.y) : row * place.columns + column;
			if (distance < least) [best, least] = [{ island, column, row }, distance];
		}
	}
	if (best) return best;
	grow(place);
	return freeCell(plan, island, near);
}

/** Cards that are new take free cells, near those they talk to. */
function seat(plan: Plan, island: string, ids: string[], links: Wanted["links"], force: Force): void {
	const fresh = ids.filter((id) => plan.cards[id]?.island !== island);
	if (fresh.length === 0) return;
	if (!Object.values(plan.cards).some((card) => card.island === island)) {
		settle(plan, island, ids, links, force);
		return;
	}
	const place = plan.islands[island]!;
	for (const id of fresh) {
		const near: Point[] = [];
		for (const { source, target } of links) {
			const other = source === id ? target : target === id ? source : null;
			const at = other === null ? null : cardAt(plan, other);
			if (at) near.push({ x: at.x - place.x, y: at.y - place.y });
		}
		const sum = near.reduce((a, b) => ({ x: a.x + b.x, y: a.y + b.y }), { x: 0, y: 0 });
		const at = near.length ? { x: sum.x / near.length, y: sum.y / near.length } : null;
		plan.cards[id] = freeCell(plan, island, at);
	}
}

// ---- Islands ---------------------------------------------------------------------------------------

/** The place beside what lies there already that is nearest to those one talks to. */
function landing(plan: Plan, size: Box, weights: Map<string, number>): Point {
	const boxes = new Map(Object.entries(plan.islands).map(([id, place]) => [id, boxOf(place)]));
	if (boxes.size === 0) return { x: 0, y: 0 };
	const all = [...boxes.values()];
	const centre = {
		x: all.reduce((sum, box) => sum + middle(box).x, 0) / all.length,
		y: all.reduce((sum, box) => sum + middle(box).y, 0) / all.length,
	};
	let best: Point = { x: 0, y: 0 };
	let least = Infinity;
	for (const box of all) {
		const columns = [box.x, box.x + (box.w - size.w) / 2, box.x + box.w - size.w];
		const rows = [box.y, box.y + (box.h - size.h) / 2, box.y + box.h - size.h];
		const candidates = [
			...rows.map((y) => ({ x: box.x + box.w + GAP, y })),
			...rows.map((y) => ({ x: box.x - size.w - GAP, y })),
			...columns.map((x) => ({ x, y: box.y + box.h + GAP })),
			...columns.map((x) => ({ x, y: box.y - size.h - GAP })),
		];
		for (const at of candidates) {
			const there = { ...size, ...at };
			if (all.some((other) => overlap(there, other, GAP - 1))) continue;
			const far = (to: Point) => Math.hypot(middle(there).x - to.x, (middle(there).y - to.y) * ASPECT);
			let cost = far(centre) * 0.5;
			for (const [id, weight] of weights) cost += far(middle(boxes.get(id)!)) * weight;
			if (cost < least - 0.01) [best, least] = [at, cost];
		}
	}
	return best;
}

/** Those that an island which grew would cover make room: each as little as possible. */
function makeRoom(plan: Plan, grown: string): void {
	const queue = [grown];
	for (let moves = 0; queue.length > 0 && moves < 500; moves++) {
		const id = queue.shift()!;
		const box = boxOf(plan.islands[id]!);
		for (const [other, place] of Object.entries(plan.islands)) {
			const there = boxOf(place);
			if (other === id || other === grown || !overlap(box, there, GAP / 2)) continue;
			const right = box.x + box.w + GAP - there.x;
			const down = box.y + box.h + GAP - there.y;
			if (right < down) place.x += right;
			else place.y += down;
			queue.push(other);
		}
	}
}

function weightsBetween(wanted: Wanted): Map<string, Map<string, number>> {
	const home = new Map<string, string>();
	for (const island of wanted.islands) {
		home.set(island.id, island.id);
		for (const card of island.cards) home.set(card, island.id);
	}
	const weights = new Map<string, Map<string, number>>(wanted.islands.map(({ id }) => [id, new Map()]));
	for (const { source, target } of wanted.links) {
		const a = home.get(source);
		const b = home.get(target);
		if (!a || !b || a === b) continue;
		weights.get(a)!.set(b, (weights.get(a)!.get(b) ?? 0) + 1);
		weights.get(b)!.set(a, (weights.get(b)!.get(a) ?? 0) + 1);
	}
	return weights;
}

/** Islands without a place yet get one: first those that have most to do with what is there. */
function land(plan: Plan, wanted: Wanted): void {
	const weights = weightsBetween(wanted);
	const open = new Map(wanted.islands.filter(({ id }) => !plan.islands[id]).map((island) => [island.id, island]));
	const pull = (id: string, placedOnly: boolean) => {
		let sum = 0;
		for (const [other, weight] of weights.get(id)!) if (!placedOnly || plan.islands[other]) sum += weight;
		return sum;
	};
	while (open.size > 0) {
		const next = [...open.keys()].sort(
			(a, b) => pull(b, true) - pull(a, true) || pull(b, false) - pull(a, false) || (a < b ? -1 : 1),
		)[0]!;
		const { members, cards } = open.get(next)!;
		const place = { x: 0, y: 0, ...gridFor(Math.max(members, cards.length)) };
		const near = new Map([...weights.get(next)!].filter(([id]) => plan.islands[id]));
		Object.assign(place, landing(plan, boxOf(place), near));
		plan.islands[next] = place;
		open.delete(next);
	}
}

// ---- All of it -------------------------------------------------------------------------------------

/**
 * Gives a place to everything wanted that has none. What has one keeps it, and what is in the plan
 * but not wanted now is remembered. Changes the plan.
 */
export function arrange(plan: Plan, wanted: Wanted, force: Force): void {
	land(plan, wanted);
	for (const island of wanted.islands) {
		const place = plan.islands[island.id]!;
		const before = boxOf(place);
		while (place.columns * place.rows < island.members) grow(place);
		const inside = new Set(island.cards);
		const links = wanted.links.filter(({ source, target }) => inside.has(source) && inside.has(target));
		seat(plan, island.id, island.cards, links, force);
		const after = boxOf(place);
		if (after.w > before.w || after.h > before.h) makeRoom(plan, island.id);
	}
	forget(plan, wanted);
}

/** A plan that is kept for years does not grow for ever. */
function forget(plan: Plan, wanted: Wanted): void {
	if (Object.keys(plan.cards).length <= MOST_CARDS) return;
	const islands = new Set(wanted.islands.map(({ id }) => id));
	const cards = new Set(wanted.islands.flatMap((island) => island.cards));
	for (const id of Object.keys(plan.cards)) if (!cards.has(id)) delete plan.cards[id];
	for (const id of Object.keys(plan.islands)) if (!islands.has(id)) delete plan.islands[id];
}

/** Somebody dragged a card. It stays on its island. */
export function moveCard(plan: Plan, id: string, to: Point): Point {
	const card = plan.cards[id];
	const island = card && plan.islands[card.island];
	if (!card || !island) return to;
	const box = boxOf(island);
	const within = (value: number, least: number, most: number) => Math.min(Math.max(value, least), most);
	card.at = {
		x: within(to.x - island.x, CARD_WIDTH / 2 + 4, box.w - CARD_WIDTH / 2 - 4),
		y: within(to.y - island.y, HEADER + CARD_HEIGHT / 2, box.h - CARD_HEIGHT / 2 - 4),
	};
	return { x: island.x + card.at.x, y: island.y + card.at.y };
}

/** Somebody dragged an island by its middle. */
export function moveIsland(plan: Plan, id: string, to: Point): void {
	const place = plan.islands[id];
	if (!place) return;
	const box = boxOf(place);
	place.x = to.x - box.w / 2;
	place.y = to.y - box.h / 2;
}
