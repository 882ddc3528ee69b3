// SPDX-License-Identifier: Apache-2.0
//
// Asks the controller. Every failure is an ApiError that says what happened and, by its status, whose
// fault it was: 0 means that nobody answered.

export class ApiError extends Error {
	constructor(
		readonly status: number,
		readonly word: string,
		detail: string,
	) {
		super(detail);
	}

	/** There is no such thing, or this controller cannot do it yet. */
	get missing(): boolean {
		return this.status === 404 || this.status === 405 || this.status === 501;
	}
}

/** Longer than the controller takes for an order (ten seconds); a dead one must not hang the page. */
const PATIENCE = 30_000;

async function ask(method: string, path: string, body: unknown, signal?: AbortSignal): Promise<unknown> {
	const clock = new AbortController();
	const timer = setTimeout(() => clock.abort(), PATIENCE);
	const stop = () => clock.abort();
	signal?.addEventListener("abort", stop);
	try {
		const response = await fetch(`/api/v1/${path}`, {
			method,
			signal: clock.signal,
			credentials: "same-origin",
			cache: "no-store",
			headers: body === undefined ? {} : { "Content-Type": "application/json" },
			body: body === undefined ? null : JSON.stringify(body),
		});
		if (response.status === 204) return null;
		const answer: unknown = await response.json().catch(() => null);
		if (response.ok) {
			if (answer === null) throw new ApiError(response.status, "failed", "The answer is not JSON");
			return answer;
		}
		const told = (answer ?? {}) as { error?: string; detail?: string };
		throw new ApiError(
			response.status,
			told.error ?? "failed",
			told.detail ?? `The controller answered with status ${response.status}`,
		);
	} catch (error) {
		if (error instanceof ApiError) throw error;
		if (signal?.aborted) throw error;
		throw new ApiError(0, "away", "The controller does not answer");
	} finally {
		clearTimeout(timer);
		signal?.removeEventListener("abort", stop);
	}
}

export function get<T>(path: string, query?: URLSearchParams, signal?: AbortSignal): Promise<T> {
	const text = query?.toString();
	return ask("GET", text ? `${path}?${text}` : path, undefined, signal) as Promise<T>;
}

export function put<T>(path: string, body: unknown): Promise<T> {
	return ask("PUT", path, body) as Promise<T>;
}

export function post<T>(path: string, body: unknown): Promise<T> {
	return ask("POST", path, body) as Promise<T>;
}

export function remove<T = unknown>(path: string): Promise<T> {
	return ask("DELETE", path, undefined) as Promise<T>;
}

export function isAbort(error: unknown): boolean {
	return error instanceof DOMException && error.name === "AbortError";
}
