// unpack - the module's bytes from the text that build.py made of them: base 85 around LZMA (lc 3, lp 0, pb 0), a
// sixth shorter than what browsers can inflate by themselves. After the LZMA specification by Igor Pavlov.

const DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%&()*+-;,=>?@^_`{|}~";

function unbase85(text) {
	const whole = text.padEnd(Math.ceil(text.length / 5) * 5, "~"), out = new DataView(new ArrayBuffer((whole.length / 5) * 4));
	for (let i = 0; i < whole.length; i += 5) {
		let v = 0;
		for (const c of whole.slice(i, i + 5))
			v = v * 85 + DIGITS.indexOf(c);
		out.setUint32((i / 5) * 4, v);
	}
	return new Uint8Array(out.buffer, 0, out.byteLength - (whole.length - text.length));
}

function unlzma(input, size) {
	const out = new Uint8Array(size), probs = (n) => new Uint16Array(n).fill(1024);
	let at = 5, range = 2 ** 32 - 1, code = new DataView(input.buffer, input.byteOffset).getUint32(1);

	const more = () => {
		if (range < 2 ** 24) {
			range *= 256;
			code = code * 256 + (input[at++] ?? 0);
		}
	};
	const bit = (p, i) => {
		const bound = (range >>> 11) * p[i], one = code >= bound;
		if (one) {
			range -= bound;
			code -= bound;
			p[i] -= p[i] >> 5;
		} else {
			range = bound;
			p[i] += (2048 - p[i]) >> 5;
		}
		more();
		return +one;
	};
	const direct = (bits) => {
		let v = 0;
		while (bits--) {
			range = Math.floor(range / 2);
			const one = code >= range;
			if (one)
				code -= range;
			v = v * 2 + one;
			more();
		}
		return v;
	};
	const tree = (p, base, bits) => {
		let m = 1;
		for (let i = 0; i < bits; i++)
			m = m * 2 + bit(p, base + m);
		return m - (1 << bits);
	};
	const reverse = (p, base, bits) => {
		let m = 1, v = 0;
		for (let i = 0; i < bits; i++) {
			const b = bit(p, base + m);
			m = m * 2 + b;
			v |= b << i;
		}
		return v;
	};

	const literals = probs(0x300 << 3), isMatch = probs(12), isRep = probs(12), isRep0Long = probs(12);
	const isRepG = [probs(12), probs(12), probs(12)], slots = probs(4 * 64), special = probs(128), align = probs(16);
	const lengths = () => ({ choice: probs(2), low: probs(8), mid: probs(8), high: probs(256) });
	const ofMatch = lengths(), ofRep = lengths();
	const length = (l) => !bit(l.choice, 0) ? tree(l.low, 0, 3) : !bit(l.choice, 1) ? 8 + tree(l.mid, 0, 3) : 16 + tree(l.high, 0, 8);
	const distance = (len) => {
		const slot = tree(slots, 64 * Math.min(len, 3), 6), bits = (slot >> 1) - 1;
		if (slot < 4)
			return slot;
		const d = (2 | (slot & 1)) * 2 ** bits;
		return slot < 14 ? d + reverse(special, d - slot, bits) : d + direct(bits - 4) * 16 + reverse(align, 0, 4);
	};

	const last = [0, 0, 0, 0]; // distances, the latest first
	let n = 0, state = 0;
	while (n < size) {
		if (!bit(isMatch, state)) {
			const base = 0x300 * ((n ? out[n - 1] : 0) >> 5);
			let symbol = 1, match = state >= 7 ? out[n - last[0] - 1] : -1;
			while (symbol < 0x100) {
				const want = match >> 7 & 1, b = bit(literals, base + (match < 0 ? symbol : ((1 + want) << 8) + symbol));
				symbol = symbol * 2 + b;
				match = match < 0 || want !== b ? -1 : (match << 1) & 0xff;
			}
			out[n++] = symbol;
			state = state < 4 ? 0 : state < 10 ? state - 3 : state - 6;
			continue;
		}
		let len;
		if (bit(isRep, state)) {
			let which = 0;
			while (which < 3 && bit(isRepG[which], state) && ++which);
			if (!which && !bit(isRep0Long, state)) {
				state = state < 7 ? 9 : 11;
				out[n] = out[n - last[0] - 1];
				n++;
				continue;
			}
			last.unshift(...last.splice(which, 1));
			len = length(ofRep);
			state = state < 7 ? 8 : 11;
		} else {
			len = length(ofMatch);
			last.unshift(distance(len));
			last.pop();
			state = state < 7 ? 7 : 10;
		}
		for (len += 2; len && n < size; len--, n++)
			out[n] = out[n - last[0] - 1];
	}
	return out;
}
