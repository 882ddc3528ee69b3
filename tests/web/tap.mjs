// SPDX-License-Identifier: Apache-2.0
//
// Tests as functions, their results as TAP. A test fails by throwing. The first argument on the command
// line, if any, selects the tests whose name contains it.

const tests = [];

export function test(name, run) {
	tests.push({ name, run });
}

export async function main(fixture) {
	const wanted = process.argv[2] ?? "";
	const chosen = tests.filter(({ name }) => name.includes(wanted));
	console.log(`1..${chosen.length}`);
	let failures = 0;
	for (const [index, { name, run }] of chosen.entries()) {
		const began = Date.now();
		let world = null;
		try {
			world = await fixture.begin();
			await run(world);
			await fixture.check?.(world);
			console.log(`ok ${index + 1} - ${name}`);
		} catch (error) {
			failures++;
			console.log(`not ok ${index + 1} - ${name}`);
			for (const line of String(error.stack ?? error).split("\n")) console.log(`# ${line}`);
		} finally {
			if (world) await fixture.end(world);
		}
		console.log(`# ${((Date.now() - began) / 1000).toFixed(1)} s`);
	}
	await fixture.close?.();
	process.exitCode = failures ? 1 : 0;
}

export function skip(why) {
	console.log("1..1");
	console.log(`ok 1 - page # SKIP ${why}`);
}

/** Calls it until it returns something true, and returns that; or fails in the end. */
export async function eventually(condition, what, timeout = 30_000) {
	const deadline = Date.now() + timeout;
	let last = "";
	for (;;) {
		try {
			const result = await condition();
			if (result) return result;
			last = "";
		} catch (error) {
			last = ` (${error.message})`;
		}
		if (Date.now() > deadline) throw new Error(`${what}: not within ${timeout / 1000} s${last}`);
		await new Promise((resolve) => setTimeout(resolve, 30));
	}
}
