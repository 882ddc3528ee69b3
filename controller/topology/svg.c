/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The graph as a drawing. Nodes lie in boxes, one for each namespace and one for each node that is
 * in none; boxes stand in columns, a server's to the right of its clients' as long as nobody
 * answers back; edges are curves from the right side of the client to the left one of the server.
 */

#include <inttypes.h>
#include <string.h>

#include "controller/model/memory.h"
#include "controller/topology/export.h"
#include "proto/cleanup.h"

#define NODE_WIDTH 190
#define NODE_HEIGHT 30
#define NODE_GAP 14
#define BOX_PADDING 14
#define BOX_TITLE 22
#define BOX_GAP 26
#define COLUMN_GAP 170
#define MARGIN 30
/* Characters that fit into a node, at its font size. */
#define NODE_CHARACTERS 27

struct box {
	const struct bh_graph_node *frame; /* NULL: one node alone */
	size_t n_nodes;
	unsigned int column;
	int x, y;
	int height;
};

struct spot {
	size_t box;
	int x, y;
};

struct drawing {
	const struct bh_graph *graph;
	size_t n_boxes;
	struct box *boxes;
	struct spot *spots; /* by node; frames have none */
	int width, height;
};

static size_t index_of(const struct bh_graph *graph, const struct bh_graph_node *node)
{
	return (size_t)(node - graph->nodes);
}

/* Nodes are sorted by id. */
static const struct bh_graph_node *find_node(const struct bh_graph *graph, const char *id)
{
	size_t low = 0;
	size_t high = graph->n_nodes;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = strcmp(graph->nodes[middle].id, id);

		if (order == 0)
			return &graph->nodes[middle];
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

static void make_boxes(struct drawing *drawing)
{
	const struct bh_graph *graph = drawing->graph;
	_cleanup_free_ size_t *box_of = bh_xcalloc(graph->n_nodes, sizeof(*box_of));

	for (size_t i = 0; i < graph->n_nodes; i++) {
		const struct bh_graph_node *node = &graph->nodes[i];

		if (node->parent)
			continue;
		box_of[i] = drawing->n_boxes;
		drawing->boxes[drawing->n_boxes++].frame = node->open ? node : NULL;
	}
	for (size_t i = 0; i < graph->n_nodes; i++) {
		const struct bh_graph_node *node = &graph->nodes[i];

		if (node->open)
			continue;
		if (node->parent)
			drawing->spots[i].box =
				box_of[index_of(graph, find_node(graph, node->parent))];
		else
			drawing->spots[i].box = box_of[i];
		drawing->boxes[drawing->spots[i].box].n_nodes++;
	}
}

static size_t box_of(const struct drawing *drawing, const struct bh_graph_node *node)
{
	return drawing->spots[index_of(drawing->graph, node)].box;
}

/* True if another box's node speaks to one of this box's. */
static bool is_spoken_to(const struct drawing *drawing, size_t box)
{
	for (size_t i = 0; i < drawing->graph->n_edges; i++) {
		const struct bh_graph_edge *edge = &drawing->graph->edges[i];

		if (box_of(drawing, edge->target) == box && box_of(drawing, edge->source) != box)
			return true;
	}
	return false;
}

/* From `start` on, breadth first, to whoever has no column yet. */
static void place_from(struct drawing *drawing, size_t start, bool *placed, size_t *queue)
{
	size_t n = 1;

	queue[0] = start;
	placed[start] = true;
	for (size_t at = 0; at < n; at++) {
		for (size_t i = 0; i < drawing->graph->n_edges; i++) {
			const struct bh_graph_edge *edge = &drawing->graph->edges[i];
			size_t to = box_of(drawing, edge->target);

			if (box_of(drawing, edge->source) != queue[at] || placed[to])
				continue;
			placed[to] = true;
			drawing->boxes[to].column = drawing->boxes[queue[at]].column + 1;
			queue[n++] = to;
		}
	}
}

/* Who is only a client stands at the left; of a circle nobody speaks to, the first box does. */
static unsigned int set_columns(struct drawing *drawing)
{
	_cleanup_free_ bool *placed = bh_xcalloc(drawing->n_boxes, sizeof(*placed));
	_cleanup_free_ size_t *queue = bh_xcalloc(drawing->n_boxes, sizeof(*queue));
	unsigned int last = 0;

	for (int circles = 0; circles < 2; circles++) {
		for (size_t i = 0; i < drawing->n_boxes; i++) {
			if (!placed[i] && (circles || !is_spoken_to(drawing, i)))
				place_from(drawing, i, placed, queue);
		}
	}
	for (size_t i = 0; i < drawing->n_boxes; i++) {
		if (drawing->boxes[i].column > last)
			last = drawing->boxes[i].column;
	}
	return last;
}

static void lay_out(struct drawing *drawing)
{
	unsigned int last = set_columns(drawing);
	_cleanup_free_ int *bottom = bh_xcalloc(last + 1, sizeof(*bottom));
	_cleanup_free_ int *next = bh_xcalloc(drawing->n_boxes, sizeof(*next));

	for (size_t i = 0; i < drawing->n_boxes; i++) {
		struct box *box = &drawing->boxes[i];
		int title = box->frame ? BOX_TITLE : 0;

		box->x = MARGIN + (int)box->column * (NODE_WIDTH + 2 * BOX_PADDING + COLUMN_GAP);
		box->y = bottom[box->column] ? bottom[box->column] + BOX_GAP : MARGIN;
		box->height = 2 * BOX_PADDING + title - NODE_GAP +
			      (int)box->n_nodes * (NODE_HEIGHT + NODE_GAP);
		bottom[box->column] = box->y + box->height;
		next[i] = box->y + BOX_PADDING + title;
		if (bottom[box->column] + MARGIN > drawing->height)
			drawing->height = bottom[box->column] + MARGIN;
	}
	drawing->width = 2 * MARGIN + (int)(last + 1) * (NODE_WIDTH + 2 * BOX_PADDING) +
			 (int)last * COLUMN_GAP + COLUMN_GAP / 2;
	for (size_t i = 0; i < drawing->graph->n_nodes; i++) {
		struct spot *spot = &drawing->spots[i];

		if (drawing->graph->nodes[i].open)
			continue;
		spot->x = drawing->boxes[spot->box].x + BOX_PADDING;
		spot->y = next[spot->box];
		next[spot->box] += NODE_HEIGHT + NODE_GAP;
	}
}

/* ---- Drawing --------------------------------------------------------------------------------- */

/* As much of the text as fits; whole characters. */
static void add_cut(struct bh_text *to, const char *text)
{
	char cut[4 * NODE_CHARACTERS + 4];
	size_t characters = 0;
	size_t n = 0;

	for (; text[n] && n < sizeof(cut) - 4; n++) {
		if (((unsigned char)text[n] & 0xc0) != 0x80 && ++characters > NODE_CHARACTERS)
			break;
		cut[n] = text[n];
	}
	snprintf(cut + n, 4, "%s", text[n] ? "…" : "");
	bh_export_xml(to, cut);
}

static void draw_box(struct bh_text *to, const struct box *box)
{
	if (!box->frame)
		return;
	bh_text_format(to,
		"<rect class=\"box\" x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" rx=\"10\"/>\n"
		"<text class=\"title\" x=\"%d\" y=\"%d\">",
		box->x, box->y, NODE_WIDTH + 2 * BOX_PADDING, box->height, box->x + BOX_PADDING,
		box->y + BOX_PADDING + 8);
	add_cut(to, box->frame->name);
	bh_text_add(to, "</text>\n");
}

static void draw_node(struct bh_text *to, const struct bh_graph_node *node, const struct spot *spot)
{
	char label[BH_EXPORT_LABEL_MAX];

	bh_text_add(to, "<g><title>");
	bh_export_xml(to, node->id);
	bh_text_format(to,
		"</title><rect class=\"%s\" x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" "
		"rx=\"6\"/><text x=\"%d\" y=\"%d\">",
		bh_node_type_word(node->type), spot->x, spot->y, NODE_WIDTH, NODE_HEIGHT,
		spot->x + 10, spot->y + NODE_HEIGHT / 2 + 4);
	add_cut(to, bh_export_node_label(node, label));
	bh_text_add(to, "</text></g>\n");
}

/* Wider for more bytes: a pixel for each factor of thirty or so. */
static double width_of(const struct bh_graph_edge *edge)
{
	uint64_t octets = edge->sum.octets[0] + edge->sum.octets[1];
	double width = 1.2;

	for (; octets >= 32; octets /= 32)
		width += 0.5;
	return width;
}

/* Edges that lie on one another are set apart by their state, and their labels along the way. */
static void draw_edge(struct bh_text *to, const struct drawing *drawing, size_t number)
{
	const struct bh_graph_edge *edge = &drawing->graph->edges[number];
	const struct spot *from = &drawing->spots[index_of(drawing->graph, edge->source)];
	const struct spot *target = &drawing->spots[index_of(drawing->graph, edge->target)];
	int shift = 6 * ((int)edge->state - 1);
	int x1 = from->x + NODE_WIDTH;
	int y1 = from->y + NODE_HEIGHT / 2 + shift;
	bool forward = target->x > from->x;
	int x2 = forward ? target->x : target->x + NODE_WIDTH;
	int y2 = target->y + NODE_HEIGHT / 2 + shift;
	int bend = forward ? (x2 - x1) / 2 : 70 + (int)(number % 5) * 8;
	int c2 = forward ? x2 - bend : x2 + bend;
	int along = 30 + (int)(number * 13 % 5) * 10; /* percent */
	char label[BH_EXPORT_LABEL_MAX];

	bh_text_add(to, "<g><title>");
	bh_export_xml(to, edge->source->id);
	bh_text_add(to, " → ");
	bh_export_xml(to, edge->target->id);
	bh_text_format(to, ": %s, %" PRIu64 " flows, %" PRIu64 " bytes</title>",
		bh_state_word(edge->state), edge->sum.flows,
		edge->sum.octets[0] + edge->sum.octets[1]);
	bh_text_format(to,
		"<path d=\"M%d %d C%d %d %d %d %d %d\" stroke=\"%s\" stroke-width=\"%.1f\"%s "
		"marker-end=\"url(#%s)\"/><text class=\"port\" x=\"%d\" y=\"%d\">",
		x1, y1, x1 + bend, y1, c2, y2, x2, y2, bh_export_colour(edge->state),
		width_of(edge), edge->state == BH_STATE_ALLOWED ? "" : " stroke-dasharray=\"5 4\"",
		bh_state_word(edge->state),
		forward ? x1 + (x2 - x1) * along / 100 : (x1 > x2 ? x1 : x2) + bend / 2,
		y1 + (y2 - y1) * along / 100 - 4);
	bh_export_xml(to, bh_export_edge_label(edge, label));
	bh_text_add(to, "</text></g>\n");
}

static void draw_head(struct bh_text *to, const struct drawing *drawing)
{
	bh_text_format(to,
		"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
		"<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" width=\"%d\" "
		"height=\"%d\">\n<style>"
		"text{font:12px sans-serif;fill:#1b2631}.title{font-weight:bold;fill:#566573}"
		".port{font-size:10px;fill:#566573;paint-order:stroke;stroke:#fff;stroke-width:3px}"
		"rect{fill:#fff;stroke:#566573}.box{fill:#f4f6f7;stroke:#ccd1d1}"
		".rest,.namespace,.label{stroke-width:2.5}path{fill:none}</style>\n<defs>",
		drawing->width, drawing->height, drawing->width, drawing->height);
	for (int state = BH_STATE_ALLOWED; state <= BH_STATE_DENIED; state++)
		bh_text_format(to,
			"<marker id=\"%s\" viewBox=\"0 0 8 8\" refX=\"8\" refY=\"4\" "
			"markerWidth=\"9\" markerHeight=\"9\" markerUnits=\"userSpaceOnUse\" "
			"orient=\"auto\"><path d=\"M0 0L8 4L0 8z\" style=\"fill:%s\"/></marker>",
			bh_state_word((enum bh_state)state),
			bh_export_colour((enum bh_state)state));
	bh_text_add(to, "</defs>\n<rect width=\"100%\" height=\"100%\" style=\"stroke:none\"/>\n");
}

void bh_export_svg(struct bh_text *to, const struct bh_graph *graph)
{
	struct drawing drawing = {
		.graph = graph,
		.boxes = bh_xcalloc(graph->n_nodes, sizeof(*drawing.boxes)),
		.spots = bh_xcalloc(graph->n_nodes, sizeof(*drawing.spots)),
		.height = 2 * MARGIN,
	};

	make_boxes(&drawing);
	lay_out(&drawing);
	draw_head(to, &drawing);
	for (size_t i = 0; i < drawing.n_boxes; i++)
		draw_box(to, &drawing.boxes[i]);
	for (size_t i = 0; i < graph->n_edges; i++)
		draw_edge(to, &drawing, i);
	for (size_t i = 0; i < graph->n_nodes; i++) {
		if (!graph->nodes[i].open)
			draw_node(to, &graph->nodes[i], &drawing.spots[i]);
	}
	bh_text_add(to, "</svg>\n");
	free(drawing.boxes);
	free(drawing.spots);
}
