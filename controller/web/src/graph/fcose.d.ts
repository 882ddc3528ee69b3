// SPDX-License-Identifier: Apache-2.0

declare module "cytoscape-fcose" {
	const fcose: import("cytoscape").Ext;
	export default fcose;
}
