// SPDX-License-Identifier: Apache-2.0
//
// What the controller answers, as docs/openapi.yaml has it; only what the page reads. Every string
// in it was chosen by strangers.

export type State = "allowed" | "would-deny" | "denied";
export type Mode = "observe" | "dry-run" | "enforce";
export type Encryption = "unknown" | "no" | "yes";
/** RFC 3339 in UTC, or null. */
export type Time = string | null;

export interface BothWays {
	fromClient: number;
	fromServer: number;
}

export interface Session {
	id: string;
	role: "reader" | "operator";
	/** null: all of them. */
	namespaces: string[] | null;
	node: string;
	version: string;
	/** The cluster's graph may be asked for. */
	cluster: boolean;
}

/** Whose counts a cluster's are. */
export interface Cluster {
	nodes: { name: string; lastSample: string | null; stale: boolean; job?: string; instance?: string }[];
	stale: number;
	notes: string[];
}

export interface Problem {
	source: string;
	code: string;
	object: string;
	text: string;
}

export interface Source {
	kind?: string;
	state?: string;
	since?: string;
	detail?: string;
	name?: string;
	path?: string;
}

export interface Status {
	node: string;
	version: string;
	started: Time;
	revision: { wanted: number; applied: number };
	mode: Mode;
	ready: boolean;
	missing?: string;
	sources?: Source[];
	endpoints: number;
	endpointStates: Record<string, number>;
	endpointModes: Record<string, number>;
	problems: Problem[];
	problemsElsewhere: number;
	dataplane: { connected: boolean; attach?: string; kernel?: string; slow?: boolean };
	losses: Record<string, number>;
	drops?: Record<string, number>;
	dropReasons?: Record<string, string>;
	/** Missing where the controller has no alerts. */
	alerts?: { open: number; high: number; acknowledged: number; baselines: number; dropped: number };
}

export interface Window {
	from: Time;
	to: Time;
	exact: boolean;
	note?: string;
	/** From history: since when there is any. */
	historySince?: Time;
}

/** A workload that is no node of a graph. */
export type Party = Omit<Workload, "id">;

export interface Workload {
	id: string;
	namespace: string;
	kind: string;
	name: string;
}

export interface Aggregate {
	conversations: number;
	denied: number;
	wouldDeny: number;
	flows: number;
	flowsDenied: number;
	flowsWouldDeny: number;
	/** At whichever end: those that begin no flow, too. */
	packetsDenied: number;
	packets: BothWays;
	bytes: BothWays;
	last: Time;
}

export interface Node {
	id: string;
	type: "namespace" | "workload" | "pod" | "label" | "rest";
	parent: string | null;
	open?: boolean;
	namespace: string;
	kind: string;
	name: string;
	members: number;
	pods: number;
	modes: Partial<Record<Mode, number>>;
	quarantined: number;
	inside: Aggregate;
}

export interface EdgePart {
	id: string;
	protocol: string;
	port: number;
	app: string;
	encrypted: Encryption;
	flows: number;
	bytes: BothWays;
}

export interface Edge {
	id: string;
	source: string;
	target: string;
	state: State;
	app: string;
	encrypted: Encryption;
	aggregate: Aggregate;
	conversations: EdgePart[];
}

export interface Graph {
	window: Window;
	group: string;
	limit: number;
	nodes: Node[];
	edges: Edge[];
	matched: { workloads: number; conversations: number; of: number };
	folded: { nodes: number; namespaces: number };
	cluster?: Cluster;
}

export interface Conversation {
	id: string;
	client: Workload;
	server: Workload;
	protocol: string;
	port: number;
	state: State;
	verdict: "allowed" | "denied";
	pending: "allowed" | "denied";
	text: string;
	deniedBy: ("egress" | "ingress")[];
	app: string;
	encrypted: Encryption;
	tlsVersion: string;
	sni: string;
	roundTrip: { min: number; mean: number; samples: number } | null;
	packets: BothWays;
	bytes: BothWays;
	flows: number;
	flowsDenied: number;
	flowsWouldDeny: number;
	/** At whichever end: those that begin no flow, too. */
	packetsDenied: number;
	resets: number;
	refusals: number | null;
	first: Time;
	last: Time;
}

export interface Rule {
	number: number;
	namespace?: string;
	policy?: string;
	direction?: string;
	index?: number;
	text?: string;
}

export interface End {
	direction: "ingress" | "egress";
	hidden: boolean;
	allowed: boolean;
	reason?: string;
	text?: string;
	rule?: Rule | null;
	pendingAllowed: boolean;
	pendingReason?: string;
	pendingText?: string;
	pendingRule?: Rule | null;
	family?: number;
	packets?: BothWays;
	bytes?: BothWays;
	flows?: number;
	last?: Time;
	stale?: "changed" | "older" | null;
}

export interface Why extends Conversation {
	window: Window;
	egress: End | null;
	ingress: End | null;
	variants: End[];
}

export interface Point {
	time: string;
	/** How long it is. */
	seconds: number;
	packets: BothWays;
	bytes: BothWays;
	flows: number;
	flowsDenied: number;
	flowsWouldDeny: number;
	/** At whichever end: those that begin no flow, too. */
	packetsDenied: number;
}

export interface Series {
	id: string;
	window: Window;
	/** Seconds of the longest point. */
	step: number;
	points: Point[];
}

export interface Changed {
	before: State;
	after: Conversation;
}

export interface Diff {
	before: Window;
	after: Window;
	new: Conversation[];
	vanished: Conversation[];
	changed: Changed[];
	total: { new: number; vanished: number; changed: number; same: number };
}

export interface EdgeList {
	window: Window;
	edges: Conversation[];
	total: number;
	cluster?: Cluster;
}

export interface Pod {
	namespace: string;
	name: string;
	ips: string[];
	mode: Mode;
	state: string;
	detail: string;
	quarantined: boolean;
	ingressIsolated: boolean;
	egressIsolated: boolean;
	policies: string[];
	workload: { namespace: string; kind: string; name: string };
	labels?: Record<string, string>;
}

export interface Policy {
	namespace: string;
	name: string;
	mode: string;
	ingress: boolean;
	egress: boolean;
	valid: boolean;
	problems: string[];
	pods: string[];
	rules: Rule[];
}

export interface Namespace {
	name: string;
	mode: Mode;
	modeSource: "command" | "annotation" | "node";
	pods: number;
	podsHere: number;
	modes: Partial<Record<Mode, number>>;
	quarantined: number;
	policies: number;
	conversations: number;
	denied: number;
	wouldDeny: number;
}

export interface Readiness {
	namespace: string;
	window: Window;
	mode: Mode;
	observedSince: Time;
	ready: boolean;
	podsHere: number;
	policies: number;
	conversations: number;
	wouldDeny: Conversation[];
	wouldDenyTotal?: number;
	wouldDenyFlows: number;
	lost: number;
}

export interface Modes {
	inForce?: boolean;
	missing?: string;
}

export interface QuarantineAnswer {
	known?: boolean;
	inForce?: boolean;
	missing?: string;
}

export interface Allowance {
	edge: string;
	needed: boolean;
	yaml: string;
	notes: string[];
}

/** A conversation as policy is asked about it; its id is not that of a Conversation. */
export interface Seen {
	id: string;
	client: Party;
	server: Party;
	protocol: string;
	port: number;
	flows: number;
	bytes: BothWays;
	last: Time;
}

export interface Judged {
	verdict: "allowed" | "denied";
	end: "egress" | "ingress";
	text: string;
}

export interface Differing extends Seen {
	change: "newly-denied" | "newly-allowed";
	before: Judged;
	after: Judged;
}

/** Of POST /api/v1/policy/diff: what the recorded history would have met under other policies. */
export interface PolicyDiff {
	window: Window;
	newlyDenied: number;
	newlyAllowed: number;
	unchanged: number;
	gone: number;
	recordsLost: number;
	edges: Differing[];
}

export interface Suggested extends Seen {
	/** `included`, or why not. */
	why: string;
	text: string;
}

export interface Suggestion {
	window: Window;
	policies: { manifest: { metadata?: { name?: string; namespace?: string } }; yaml: string }[];
	included: Suggested[];
	left: Suggested[];
	recordsLost: number;
}

// ---- Alerts and baselines ----------------------------------------------------------------------------

export type Severity = "info" | "warning" | "high";

export interface EvidenceEnd {
	workload: Workload;
	/** Empty where it is not known, or may not be told. */
	pod: string;
	ip: string | null;
}

export interface Evidence {
	time: Time;
	source: EvidenceEnd;
	destination: EvidenceEnd;
	protocol: string;
	port: number;
	verdict: State | "refused";
	/** Of a conversation; null where it is not known. */
	edge: string | null;
}

export interface Alert {
	id: string;
	/** `new-edge`, `first-world`, `port-scan`, `lateral-movement`, `plaintext-database`, and what comes later. */
	kind: string;
	severity: Severity;
	source: Workload;
	/** Null: many. */
	target: Workload | null;
	namespaces: string[];
	text: string;
	count: number;
	distinct: number;
	first: Time;
	last: Time;
	/** Grows with every change of any alert. */
	changed: number;
	acknowledged: Time;
	acknowledgedBy: string | null;
	reopened: number;
	evidence: Evidence[];
	evidenceMore: number;
}

export interface Alerts {
	alerts: Alert[];
	total: number;
	next: number;
	dropped: number;
}

export interface Baseline {
	namespace: string;
	locked: Time;
	lockedBy: string;
	from: Time;
	to: Time;
	conversations: number;
	alerts: number;
}

export interface BaselineDetail extends Baseline {
	edges: { id: string; client: Workload; server: Workload; protocol: string; port: number; denied: boolean }[];
	/** That are not told. */
	more: number;
}
