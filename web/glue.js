// glue - the evidence core, loaded from its bytes. The module gets no imports: it can compute and nothing else.
//
// The core's own code decides about every signature. Where `subtle` (WebCrypto) is given, the same list runs
// through it as well, and a single difference is a refusal. Texts are the core's, byte for byte.
const INPUT = { evidence: 0, collateral: 1, root: 2, code: 3, expect: 4, inflated: 5 };
const NEXT = { begin: 0, inflate: 1, closed: 2 }; // enum verify_next of lib/core/verify/verify.h
const LOG_MAX = 16384; // VERIFY_LOG_MAX
const CHECK_SIZE = 32;

// In the order of enum sig_alg (lib/core/verdict/check.h): how WebCrypto takes the key, and how it verifies.
const base64url = (b) => btoa(String.fromCharCode(...b)).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
const curve = (namedCurve, hash) => ({
	key: (k) => ["raw", Uint8Array.of(4, ...k), { name: "ECDSA", namedCurve }],
	how: { name: "ECDSA", hash },
});
const ALGORITHMS = [
	curve("P-256", "SHA-256"),
	curve("P-384", "SHA-384"),
	{
		key: (n) => ["jwk", { kty: "RSA", n: base64url(n), e: "AQAB" }, { name: "RSA-PSS", hash: "SHA-384" }],
		how: { name: "RSA-PSS", saltLength: 48 },
	},
];

async function bySubtle(subtle, c) {
	try {
		const { key, how } = ALGORITHMS[c.alg];
		return await subtle.verify(how, await subtle.importKey(...key(c.key), false, ["verify"]), c.sig, c.msg);
	} catch {
		return false; // WebCrypto throws for a key that is none
	}
}

// gzip to bytes, as far as they may be wanted; null when it is none or gives more.
async function inflate(bytes) {
	const got = [];
	try {
		for (const r = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip")).getReader(); ;) {
			const { done, value } = await r.read();
			if (done)
				return Uint8Array.from(got);
			got.push(...value);
			if (got.length > LOG_MAX)
				return null;
		}
	} catch {
		return null;
	}
}

async function loadCore(bytes, subtle) {
	const x = (await WebAssembly.instantiate(bytes, {})).instance.exports;
	const memory = new Uint8Array(x.memory.buffer); // its size is fixed, so this view stays
	const words = new DataView(x.memory.buffer);
	const slice = (at, n) => memory.slice(at, at + n);
	const text = () => new TextDecoder().decode(slice(x.out_text(), x.out_size()));

	const put = (name, data) => {
		const at = x.input(INPUT[name], data ? data.length : 0);
		if (!at)
			throw new RangeError(`${name}: ${data.length} bytes are too many`);
		if (data)
			memory.set(data, at);
	};
	const listed = (n) =>
		Array.from({ length: n }, (_, i) => {
			const w = (k) => words.getUint32(x.checks() + i * CHECK_SIZE + 4 * k, true);
			return { alg: w(1), msg: slice(w(2), w(3)), key: slice(w(4), w(5)), sig: slice(w(6), w(7)) };
		});
	// The checks that hold, as bits; null when the engines differ.
	const run = async (n) => {
		let own = 0, other = 0;
		for (let i = 0; i < n; i++)
			own |= x.check(i) << i;
		if (!subtle)
			return own;
		const answers = await Promise.all(listed(n).map((c) => bySubtle(subtle, c)));
		answers.forEach((yes, i) => (other |= yes << i));
		return own === other ? own : null;
	};
	const settle = (agreed, finish) => {
		if (!agreed)
			x.engines_disagree();
		return { ok: agreed && finish() === 1, text: text() };
	};
	// Whole evidence under one root after the other: the first that holds, else the refusal that came furthest, as
	// natively (lib/ratls/verify.c). The context is left as that one left it. False when the engines differ.
	const tryRoots = async () => {
		const under = async (i) => {
			const passed = await run(x.evidence_begin(i));
			return passed === null ? null : { i, reason: x.evidence_signed(passed) };
		};
		const roots = x.evidence_roots();
		let best = null;
		for (let i = 0; i < roots; i++) {
			const tried = await under(i);
			if (!tried)
				return false;
			if (!tried.reason)
				return true;
			if (!best || tried.reason > best.reason)
				best = tried;
		}
		return !best || best.i === roots - 1 || (await under(best.i)) !== null;
	};
	const replayed = (ok) => {
		const said = text();
		if (ok)
			x.events_differences();
		return { ok: ok === 1 && said !== "", text: said, differences: ok ? JSON.parse(text()) : [] };
	};
	const clock = (now) => [Math.floor(now / 2 ** 32), now >>> 0];

	// One memory: one question at a time.
	let busy = Promise.resolve();
	const alone = (f) => (...a) => (busy = busy.then(() => f(...a), () => f(...a)));

	return {
		// {quote, collateral, root?}: bytes; now: Unix seconds. As `dstack quote verify --json`.
		verifyQuote: alone(async ({ quote, collateral, root }, now) => {
			put("evidence", quote);
			put("collateral", collateral);
			put("root", root);
			const passed = await run(x.quote_begin(...clock(now)));
			return settle(passed !== null, () => x.quote_finish(passed));
		}),
		// {evidence, collateral?, expect?, root?}: bytes. As `dstack verify FILE --json`.
		verify: alone(async ({ evidence, collateral, expect, root }, now) => {
			put("evidence", evidence);
			put("collateral", collateral);
			put("expect", expect);
			put("root", root);
			put("inflated", null);
			if (x.evidence_read(...clock(now)) === NEXT.inflate) {
				put("inflated", await inflate(slice(x.compressed(), x.compressed_size())));
				x.evidence_read(...clock(now));
			}
			return settle(await tryRoots(), x.evidence_finish);
		}),
		// What the evidence of the last verify() holds: its quote and its log, shown as above.
		showEvidence: alone(async () => ({ ok: x.evidence_decode() === 1, text: text() })),
		replayEvidence: alone(async () => replayed(x.evidence_replay())),
		// As `dstack explain CODE --json`; null when the code is not about evidence.
		explain: alone(async (code) => {
			put("code", new TextEncoder().encode(code));
			return x.explain() ? JSON.parse(text()) : null;
		}),
		// As `dstack events replay --list --json`; and where log and quoted registers part.
		replay: alone(async (evidence) => {
			put("evidence", evidence);
			return replayed(x.events_replay());
		}),
		// As `dstack quote show --json`.
		showQuote: alone(async (quote) => {
			put("evidence", quote);
			return { ok: x.quote_decode() === 1, text: text() };
		}),
	};
}
