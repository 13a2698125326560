// The app of tests/e2e/55-sdk.sh: the published JS SDK, unmodified, in a container of a real CVM. Endpoints are found
// as users' programs find them: the sockets mounted at /var/run. Runs every method once, then serves on 8080:
//   /           a line a check and its time; 503 until they are all done
//   /evidence   what others have to judge: quotes, certificates, chains
'use strict';
const crypto = require('crypto');
const http = require('http');
const { DstackClient, TappdClient, getComposeHash, to_hex } = require('@phala/dstack-sdk');
const { secp256k1 } = require('@noble/curves/secp256k1');
const sha3 = require('@noble/hashes/sha3');

const lines = [];
const evidence = { secret: crypto.createHash('sha256').update(process.env.SECRET || '').digest('hex') };
let done = false;

async function check(text, run) {
	const began = Date.now();
	let fault = '';
	try {
		if ((await run()) === false) fault = ': not so';
	} catch (e) {
		fault = `: ${e.message || e}`;
	}
	lines.push(`${fault ? 'not ok' : 'ok'} - in the CVM: ${text}${fault} (${Date.now() - began} ms)`);
	console.log(lines[lines.length - 1]);
}
const refused = (text, run, want) =>
	check(text, async () => {
		try {
			await run();
		} catch (e) {
			return want.test(String(e.message || e));
		}
		return false;
	});
const hex = (b) => Buffer.from(b).toString('hex');
const reportData = (quote) => quote.slice(2 * 568, 2 * 632);
const register = (quote, i) => quote.slice(2 * (376 + 48 * i), 2 * (424 + 48 * i));
function replays(r) {
	r.replayRtmrs().forEach((rtmr, i) => {
		if (rtmr !== register(r.quote, i)) throw new Error(`RTMR${i} replays to ${rtmr}, the quote has ${register(r.quote, i)}`);
	});
	return true;
}
// Who signed `message`: the compressed key that a 65-byte signature over its Keccak-256 recovers to.
const signer = (message, signature) =>
	secp256k1.Signature.fromCompact(signature.slice(0, 64)).addRecoveryBit(signature[64]).recoverPublicKey(sha3.keccak_256(message)).toHex(true);
const publicKey = (key, algorithm) =>
	algorithm === 'ed25519'
		? Buffer.from(ed25519(key).x, 'base64url')
		: secp256k1.getPublicKey(key, true);
const ed25519Key = (seed) => crypto.createPrivateKey({ key: Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), seed]), format: 'der', type: 'pkcs8' });
const ed25519 = (seed) => crypto.createPublicKey(ed25519Key(seed)).export({ format: 'jwk' });
const ed25519Public = (raw) => crypto.createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x: Buffer.from(raw).toString('base64url') }, format: 'jwk' });

async function keys(c) {
	const a = await c.getKey('/', 'test');
	evidence.root = signer(`test:${hex(publicKey(a.key))}`, a.signature_chain[0]);
	evidence.link = hex(a.signature_chain[1]);
	await check('getKey: the same each time, another for another path, not for another purpose', async () => {
		const [b, d, e] = [await c.getKey('/', 'test'), await c.getKey('/y', 'test'), await c.getKey('/', 'else')];
		return a.key.length === 32 && hex(a.key) === hex(b.key) && hex(a.key) !== hex(d.key) && hex(a.key) === hex(e.key);
	});
	for (const algorithm of ['secp256k1', 'k256', '', 'ed25519'])
		await check(`getKey '${algorithm}': the app's root key signs purpose and public key, the KMS the root key`, async () => {
			const k = await c.getKey('/x', 'purpose', algorithm);
			return signer(`purpose:${hex(publicKey(k.key, algorithm))}`, k.signature_chain[0]) === evidence.root && hex(k.signature_chain[1]) === evidence.link;
		});
	await refused('getKey: secp256k1_prehashed is no key', () => c.getKey('/', '', 'secp256k1_prehashed'), /./);
	await check('viem: the account signs messages, typed data and transactions as its address', async () => {
		const { toViemAccount, toViemAccountSecure } = require('@phala/dstack-sdk/viem');
		const { verifyMessage, verifyTypedData, recoverTransactionAddress } = require('viem');
		const account = toViemAccountSecure(a);
		const { address } = account;
		const typed = { domain: { name: 'x', chainId: 1 }, types: { A: [{ name: 'n', type: 'uint256' }] }, primaryType: 'A', message: { n: 7n } };
		const serializedTransaction = await account.signTransaction({ type: 'eip1559', chainId: 1, nonce: 0, to: address, value: 1n, gas: 21000n, maxFeePerGas: 1n, maxPriorityFeePerGas: 1n });
		return address === toViemAccount(a).address && (await verifyMessage({ address, message: 'hi', signature: await account.signMessage({ message: 'hi' }) })) &&
			(await verifyTypedData({ address, ...typed, signature: await account.signTypedData(typed) })) && (await recoverTransactionAddress({ serializedTransaction })) === address;
	});
	await check('Solana: the key pair is that of the ed25519 key and signs transactions', async () => {
		const { toKeypair, toKeypairSecure } = require('@phala/dstack-sdk/solana');
		const { SystemProgram, Transaction } = require('@solana/web3.js');
		const key = await c.getKey('/', 'test', 'ed25519');
		const pair = toKeypairSecure(key);
		const tx = new Transaction({ feePayer: pair.publicKey, recentBlockhash: '4uQeVj5tqViQh7yWWGStvkEG1Zmhx6uasJtWCJziofM' });
		tx.add(SystemProgram.transfer({ fromPubkey: pair.publicKey, toPubkey: pair.publicKey, lamports: 1 }));
		tx.sign(pair);
		return hex(pair.publicKey.toBytes()) === hex(publicKey(key.key, 'ed25519')) && toKeypair(key).publicKey.equals(pair.publicKey) && tx.verifySignatures();
	});
}

async function certificates(c) {
	await check('getTlsKey: names, usages, a fresh key; signed by the next of its chain', async () => {
		const q = { subject: 'a.test', altNames: ['a.test', '10.0.0.1'], usageRaTls: true, usageServerAuth: true, usageClientAuth: true, withAppInfo: true };
		const [a, b] = [await c.getTlsKey(q), await c.getTlsKey(q)];
		const [leaf, ca] = a.certificate_chain.map((pem) => new crypto.X509Certificate(pem));
		evidence.tls = a.certificate_chain;
		return leaf.subject === 'CN=a.test' && leaf.subjectAltName === 'DNS:a.test, IP Address:10.0.0.1' && leaf.keyUsage.length === 2 && leaf.verify(ca.publicKey) &&
			leaf.checkPrivateKey(crypto.createPrivateKey(a.key)) && a.key !== b.key;
	});
	await check('getTlsKey: validity', async () => {
		const now = Math.floor(Date.now() / 1000);
		const leaf = new crypto.X509Certificate((await c.getTlsKey({ subject: 'a', notBefore: now - 3600, notAfter: now + 86400 })).certificate_chain[0]);
		return new Date(leaf.validFrom).getTime() === 1000 * (now - 3600) && new Date(leaf.validTo).getTime() === 1000 * (now + 86400);
	});
	await check('getTlsKey: without options; its key as bytes and as wallets', async () => {
		const { toViemAccountSecure } = require('@phala/dstack-sdk/viem');
		const { toKeypairSecure } = require('@phala/dstack-sdk/solana');
		const r = await c.getTlsKey();
		const secret = crypto.createHash('sha256').update(r.asUint8Array()).digest();
		return r.asUint8Array().length === 138 && r.asUint8Array(32).length === 32 && hex(toKeypairSecure(r).secretKey).startsWith(hex(secret)) &&
			toViemAccountSecure(r).publicKey === `0x${hex(secp256k1.getPublicKey(secret, false))}`;
	});
}

async function quotes(c) {
	await check('getQuote: report data padded on its right, the log replays to all four registers', async () => {
		const r = (evidence.quote = await c.getQuote('hello'));
		return replays(r) && reportData(r.quote) === hex('hello').padEnd(128, '0') && r.report_data === reportData(r.quote) && JSON.parse(r.vm_config).cpu_count === 1;
	});
	await check('getQuote: 64 bytes', async () => reportData((await c.getQuote(Buffer.alloc(64, 7))).quote) === '07'.repeat(64));
	await check('getQuote: none', async () => reportData((await c.getQuote('')).quote) === '0'.repeat(128));
	await refused('getQuote: 65 bytes', () => c.getQuote(Buffer.alloc(65)), /too large/);
	await check('attest: an envelope with the report data', async () => {
		evidence.attestation = (await c.attest('attested')).attestation;
		return evidence.attestation.includes(hex('attested').padEnd(128, '0'));
	});
	await refused('attest: 65 bytes', () => c.attest(Buffer.alloc(65)), /too large/);
	await check('the deprecated tdxQuote of raw data', async () => reportData((await c.tdxQuote('x', 'raw')).quote) === hex('x').padEnd(128, '0'));
	await refused('the deprecated deriveKey', () => c.deriveKey('/'), /deprecated/);
}

async function info(c) {
	// Its limit is of the wall clock, which an emulated guest on a busy host does not have to itself.
	await check('isReachable within its 500 ms', async () => (await c.isReachable()) || (await c.isReachable()) || (await c.isReachable()));
	await check('version', async () => /^\d+\.\d+/.test((await c.version()).version));
	await check('info: what the quote says', async () => {
		const [i, r] = [await c.info(), await c.getQuote('')];
		evidence.info = { app_id: i.app_id, compose_hash: i.compose_hash, instance_id: i.instance_id, key_provider_info: i.key_provider_info, os_image_hash: i.os_image_hash };
		return [0, 1, 2, 3].every((n) => i.tcb_info[`rtmr${n}`] === register(r.quote, n)) && i.tcb_info.mrtd === r.quote.slice(2 * 184, 2 * 232) &&
			i.app_name === 'sdk' && i.vm_config === r.vm_config && i.tcb_info.event_log.length === JSON.parse(r.event_log).length;
	});
	await check('getComposeHash of the compose document is the measured hash, whose head is the app id', async () => {
		const i = await c.info();
		return getComposeHash(JSON.parse(i.tcb_info.app_compose)) === i.compose_hash && i.compose_hash.startsWith(i.app_id) && i.app_id.length === 40;
	});
}

async function events(c) {
	const rtmr3 = async () => (await c.info()).tcb_info.rtmr3;
	await check('emitEvent: RTMR3 moves, by this event', async () => {
		const before = await rtmr3();
		await c.emitEvent('my-event', 'payload');
		const r = (evidence.quote_after = await c.getQuote('after'));
		const last = JSON.parse(r.event_log).pop();
		const digest = crypto.createHash('sha384').update(Buffer.from('01000008', 'hex')).update(':my-event:payload').digest('hex');
		const next = crypto.createHash('sha384').update(Buffer.from(before + digest, 'hex')).digest('hex');
		return last.event === 'my-event' && last.event_payload === to_hex('payload') && last.digest === digest && register(r.quote, 3) === next && replays(r) && (await rtmr3()) === next;
	});
	await check("emitEvent: the system's names move nothing", async () => {
		const before = await rtmr3();
		await c.emitEvent('app-id', Buffer.alloc(20));
		return (await rtmr3()) === before;
	});
	await refused('emitEvent: no name', () => c.emitEvent('', ''), /empty/);
}

async function signing(c) {
	const text = 'Test message for signing';
	const digest = crypto.createHash('sha256').update(text).digest();
	for (const [algorithm, data] of [['ed25519', text], ['secp256k1', text], ['k256', text], ['secp256k1_prehashed', digest]])
		await check(`sign, verify: ${algorithm}, as others verify it; the chain ends in the KMS`, async () => {
			const s = await c.sign(algorithm, data);
			const other = algorithm === 'secp256k1_prehashed' ? Buffer.alloc(32, 1) : 'else';
			const known = algorithm === 'ed25519' ? crypto.verify(null, Buffer.from(text), ed25519Public(s.public_key), s.signature) : secp256k1.verify(s.signature, digest, s.public_key);
			return known && hex(s.signature_chain[0]) === hex(s.signature) && signer(`signing:${hex(s.public_key)}`, s.signature_chain[1]) === evidence.root &&
				hex(s.signature_chain[2]) === evidence.link && (await c.verify(algorithm, data, s.signature, s.public_key)).valid === true &&
				(await c.verify(algorithm, other, s.signature, s.public_key)).valid === false;
		});
	await refused('sign: a digest of 31 bytes', () => c.sign('secp256k1_prehashed', Buffer.alloc(31)), /32-byte digest/);
	await refused('sign: an unknown algorithm', () => c.sign('rot13', text), /./);
}

async function tappd(c) {
	await check('TappdClient: isReachable', async () => (await c.isReachable()) || (await c.isReachable()) || (await c.isReachable()));
	await check('TappdClient: deriveKey gives the key of its path and a certificate', async () => {
		const [a, b, d] = [await c.deriveKey('/x', 's', ['s.test']), await c.deriveKey('/x', 's'), await c.deriveKey('/y')];
		const [leaf, ca] = a.certificate_chain.map((pem) => new crypto.X509Certificate(pem));
		evidence.derived = a.certificate_chain;
		return a.key === b.key && a.key !== d.key && leaf.subject === 'CN=s' && leaf.subjectAltName === 'DNS:s.test' && leaf.checkPrivateKey(crypto.createPrivateKey(a.key)) && leaf.verify(ca.publicKey);
	});
	for (const name of ['sha256', 'sha384', 'sha512', 'sha3-256', 'sha3-384', 'sha3-512', 'keccak256', 'keccak384', 'keccak512', undefined])
		await check(`TappdClient: tdxQuote ${name || 'by default'}`, async () => {
			const r = await c.tdxQuote('test content', name);
			const of = name || 'sha512', input = 'app-data:test content';
			const sum = of.startsWith('keccak') ? hex(sha3[`keccak_${of.slice(6)}`](input)) : crypto.createHash(of).update(input).digest('hex');
			return reportData(r.quote) === sum.padEnd(128, '0') && r.hash_algorithm === of && r.prefix === 'app-data' && replays(r);
		});
	await check('TappdClient: tdxQuote raw, padded on its left by the client', async () => reportData((await c.tdxQuote('ab', 'raw')).quote) === hex('ab').padStart(128, '0'));
	await refused('TappdClient: an unknown hash', () => c.tdxQuote('x', 'md5'), /invalid hash algorithm/);
	await check('TappdClient: what it inherits works there too', async () => {
		const [k, s] = [await c.getKey('/', 'test'), await c.sign('ed25519', 'x')];
		return signer(`test:${hex(publicKey(k.key))}`, k.signature_chain[0]) === evidence.root && replays(await c.getQuote('y')) && (await c.info()).app_name === 'sdk' &&
			(await c.verify('ed25519', 'x', s.signature, s.public_key)).valid;
	});
}

async function main() {
	process.on('SIGTERM', () => process.exit(0));
	console.warn = () => {}; // what is deprecated says so
	http.createServer((q, r) => {
		r.writeHead(done ? 200 : 503, { 'Content-Type': 'text/plain' });
		r.end(q.url === '/evidence' ? JSON.stringify(evidence) : `${lines.join('\n')}\n`);
	}).listen(8080);
	const c = new DstackClient();
	for (const part of [info, keys, certificates, quotes, events, signing]) await part(c);
	await tappd(new TappdClient());
}

main().catch((e) => lines.push(`not ok - in the CVM: ${e.stack}`)).then(() => {
	lines.push(`# node: ${(process.cpuUsage().user + process.cpuUsage().system) / 1e6} s of processor in ${process.uptime()} s`);
	done = true;
});
