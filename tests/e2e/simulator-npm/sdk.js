// The published JS SDK, unmodified, against dstack-simulator on upstream's files: every method of its two clients
// and the wallet helpers. Endpoints come from the environment, as users give them.
//   DSTACK_SIMULATOR_ENDPOINT=… TAPPD_SIMULATOR_ENDPOINT=… node sdk.js [HTTP-ENDPOINT]
// Prints one line a check; exit 1 when one fails.
'use strict';
const crypto = require('crypto');
const { DstackClient, TappdClient, getComposeHash } = require('@phala/dstack-sdk');
const { secp256k1 } = require('@noble/curves/secp256k1');
const { keccak_256 } = require('@noble/hashes/sha3');
const { toViemAccount, toViemAccountSecure } = require('@phala/dstack-sdk/viem');
const { toKeypair, toKeypairSecure } = require('@phala/dstack-sdk/solana');
const { verifyMessage } = require('viem');
const known = {
	root: 'f6c1ed94488394d78e0a4e5ab75d62e9f085d73b0b555d0614fb90ca13d9464d',
	link: '0b0fa470162c54f108850d143442c48d43f1cc42983b8e9c589679345b831d2b5bb5b97b21c2d2d036520209deae8b6111318c68eafc786190d6edc52e5cf0c201',
	empty: 'aa221ae548b5a8f52fcb8687cfd873712f6a1232b2717e5ee3d58ab74f21905b',
	app: '5bb4ff9a3837357f19dc176407a5709c62eb6c56',
	appRoot: '02818494263695e8839122dbd88e281d7380622999df4e60a14befa0f2d096fc7c',
	kms: '0321529e458424ab1f710a3a57ec4dad2fb195ddca572f7469242ba6c7563085b6',
	rtmr3: 'f28a1490ee924e9396c2ccf2d93ad536b83cbe159a1d45024d1fd7acdcc102145efcfcd0cfa209416446c70226affadf',
};

let failed = 0;
async function check(text, run) {
	const began = Date.now();
	try {
		if ((await run()) === false) throw new Error('not so');
		if (Date.now() - began > 3000) throw new Error(`took ${Date.now() - began} ms`);
		console.log(`ok - SDK: ${text}`);
	} catch (e) {
		failed++;
		console.log(`not ok - SDK: ${text}: ${e.message || e}`);
	}
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
const signer = (message, signature) =>
	secp256k1.Signature.fromCompact(signature.slice(0, 64)).addRecoveryBit(signature[64]).recoverPublicKey(keccak_256(message)).toHex(true);
const bare = (h) => h.replace(/^0x/, '');
const reportData = (quote) => bare(quote).slice(2 * 568, 2 * 632);
function replays(r) {
	const rtmr = r.replayRtmrs();
	for (let i = 0; i < 4; i++) {
		const quoted = bare(r.quote).slice(2 * (376 + 48 * i), 2 * (424 + 48 * i));
		if (rtmr[i] !== quoted) throw new Error(`RTMR${i} replays to ${rtmr[i]}, the quote has ${quoted}`);
	}
}

async function keys(c) {
	await check('getKey: upstream simulator\'s known answers', async () => {
		const [a, b] = [await c.getKey('/', 'test'), await c.getKey()];
		return hex(a.key) === known.root && hex(a.signature_chain[0]) === known.link && hex(b.key) === known.empty && a.signature_chain[1].length === 65;
	});
	await check('getKey: k256 is secp256k1; ed25519 has the same bytes and another statement', async () => {
		const [k, d] = [await c.getKey('/', 'test', 'k256'), await c.getKey('/', 'test', 'ed25519')];
		return hex(k.key) === known.root && hex(d.key) === known.root && hex(d.signature_chain[0]) !== known.link;
	});
	await check("getKey: the chain goes by upstream simulator's app root key to its KMS's", async () => {
		const k = await c.getKey('/a', 'why');
		const message = Buffer.concat([Buffer.from('dstack-kms-issued:'), Buffer.from(known.app + known.appRoot, 'hex')]);
		return signer(`why:${hex(secp256k1.getPublicKey(k.key, true))}`, k.signature_chain[0]) === known.appRoot && signer(message, k.signature_chain[1]) === known.kms;
	});
	await refused('getKey: secp256k1_prehashed is no key', () => c.getKey('/', '', 'secp256k1_prehashed'), /./);
	await check('toViemAccount signs as its address', async () => {
		const account = toViemAccount(await c.getKey('/', 'test'));
		const signature = await account.signMessage({ message: 'hi' });
		return account.address === '0x6A2641982D1Ed53145b0Db42a4CFFcEFb4Cae5AF' && toViemAccountSecure(await c.getKey('/', 'test')).address === account.address &&
			(await verifyMessage({ address: account.address, message: 'hi', signature }));
	});
	await check('toKeypair gives the Solana key of the ed25519 key', async () => {
		const key = await c.getKey('/', 'test', 'ed25519');
		return toKeypair(key).publicKey.toBase58() === '6SEyAXS2GUBpajopJL3M21K16j55aj8yxWXp3v5k4Hur' && hex(toKeypair(key).secretKey).startsWith(known.root);
	});
}

async function certificates(c) {
	await check('getTlsKey: names, usages, a key of its own, under the folder\'s CA', async () => {
		const q = { subject: 'a.test', altNames: ['a.test', '10.0.0.1'], usageRaTls: true, usageServerAuth: true, usageClientAuth: true };
		const [a, b] = [await c.getTlsKey(q), await c.getTlsKey(q)];
		const [leaf, ca] = a.certificate_chain.map((pem) => new crypto.X509Certificate(pem));
		return leaf.subject === 'CN=a.test' && leaf.subjectAltName === 'DNS:a.test, IP Address:10.0.0.1' && String(leaf.keyUsage) === '1.3.6.1.5.5.7.3.1,1.3.6.1.5.5.7.3.2' &&
			hex(leaf.raw).includes('0603551d0f0101ff040403020780') /* critical, digitalSignature alone */ && leaf.verify(ca.publicKey) &&
			leaf.checkPrivateKey(crypto.createPrivateKey(a.key)) && a.key !== b.key;
	});
	await check('getTlsKey: validity and app info', async () => {
		const r = await c.getTlsKey({ subject: 'a', notBefore: 1700000000, notAfter: 4102444800, withAppInfo: true });
		const leaf = new crypto.X509Certificate(r.certificate_chain[0]);
		return leaf.validTo.includes('2100') && leaf.validFrom.includes('2023');
	});
	await check('getTlsKey: usages not asked for are not there, and a subject is not needed', async () => {
		const leaf = new crypto.X509Certificate((await c.getTlsKey({ usageServerAuth: false, usageClientAuth: true })).certificate_chain[0]);
		return String(leaf.keyUsage) === '1.3.6.1.5.5.7.3.2' && leaf.subjectAltName === undefined && leaf.subject === 'CN=';
	});
	await refused('getTlsKey: a validity that ends before it begins', async () => {
		const r = await c.getTlsKey({ notBefore: 1900000000, notAfter: 1800000000 });
		throw new Error(r.error); // the SDK hands it on
	}, /not_before must be earlier than not_after/);
	await check('its key as bytes, and as wallets', async () => {
		const r = await c.getTlsKey();
		return r.asUint8Array().length === 138 && r.asUint8Array(32).length === 32 && toViemAccountSecure(r).address.length === 42 &&
			toKeypairSecure(r).publicKey.toBytes().length === 32;
	});
}

async function evidence(c) {
	await check('getQuote: report data patched in, the log replays to all four registers', async () => {
		const r = await c.getQuote('hello');
		replays(r);
		return reportData(r.quote) === hex('hello').padEnd(128, '0') && bare(r.report_data) === reportData(r.quote) && JSON.parse(r.vm_config).cpu_count === 1 &&
			JSON.parse(r.event_log).length === 33 && bare(r.attestation).startsWith('83');
	});
	await check('getQuote: bytes, and 64 of them', async () => reportData((await c.getQuote(Buffer.alloc(64, 7))).quote) === '07'.repeat(64));
	await refused('getQuote: 65 bytes', () => c.getQuote(Buffer.alloc(65)), /too large/);
	await check('attest: an envelope of the old form with the report data', async () => {
		const r = bare((await c.attest('hello')).attestation);
		return r.startsWith('0000') && r.includes(hex('hello').padEnd(128, '0'));
	});
	await check('info: from the attestation', async () => {
		const i = await c.info();
		return i.app_id === '5bb4ff9a3837357f19dc176407a5709c62eb6c56' && i.instance_id === '1691ed1b47506cad7d08834668691d88246f5b1f' &&
			i.compose_hash === 'c143116fef3940e7f776bfc0919c256232ae5338a6e948c96b711e0b2383483a' &&
			i.mr_aggregated === '85334a62c97d0f8bf82d0245d31b539d17a2d7c258e2a13efc928aaea0e107cb' &&
			i.os_image_hash === 'e61be43dd1cc6a6f5edefd7c51b608983780839b0000ce60dd99737dcffe09b9' &&
			i.tcb_info.rtmr3 === known.rtmr3 && i.tcb_info.event_log.length === 33 && i.app_name === 'guest-agent' &&
			JSON.parse(i.key_provider_info).name === 'kms' && getComposeHash(JSON.parse(i.tcb_info.app_compose)).length === 64;
	});
	await check('version', async () => /^\d+\.\d+/.test((await c.version()).version));
	await check('emitEvent is answered, and moves no register', async () => {
		await c.emitEvent('test-event', 'payload');
		return (await c.info()).tcb_info.rtmr3 === known.rtmr3;
	});
	await check('the deprecated tdxQuote of raw data', async () => reportData((await c.tdxQuote('x', 'raw')).quote).startsWith('78'));
	await refused('the deprecated deriveKey', () => c.deriveKey('/'), /deprecated/);
}

async function signing(c) {
	const text = 'Test message for signing';
	const digest = crypto.createHash('sha256').update(text).digest();
	const first = hex((await c.sign('secp256k1', text)).signature);
	await check('sign: known answers', async () => {
		const e = await c.sign('ed25519', text);
		return hex(e.public_key) === '698f56bd587d8ce3ca8db0e1c361ba9d190089f98dc4d9df800ff92ed073a65d' && hex(e.signature).startsWith('5d1b9014') &&
			first === '673932366ab5452967919dbb290a20b095e0a65ef35baa7bd47abcc23e37f0dc3f42c80fc1680af6ba57c9cb5bcf08f5d89aa4b6f69c819ef28045b0e0134992';
	});
	for (const [algorithm, data] of [['ed25519', text], ['secp256k1', text], ['k256', text], ['secp256k1_prehashed', digest]])
		await check(`sign and verify: ${algorithm}`, async () => {
			const s = await c.sign(algorithm, data);
			const other = algorithm === 'secp256k1_prehashed' ? Buffer.alloc(32, 1) : 'else';
			return s.signature_chain.length === 3 && hex(s.signature_chain[0]) === hex(s.signature) &&
				(await c.verify(algorithm, data, s.signature, s.public_key)).valid === true &&
				(await c.verify(algorithm, other, s.signature, s.public_key)).valid === false;
		});
	await refused('sign: a digest of 31 bytes', () => c.sign('secp256k1_prehashed', Buffer.alloc(31)), /32-byte digest/);
	await refused('sign: an unknown algorithm', () => c.sign('rot13', text), /./);
}

async function tappd(c) {
	await check('TappdClient: isReachable', async () => (await c.isReachable()) === true);
	await check('TappdClient: deriveKey is deterministic', async () => {
		const [a, b, d] = [await c.deriveKey('/x', 's', ['s.test']), await c.deriveKey('/x', 's'), await c.deriveKey('/y', 's')];
		const leaf = new crypto.X509Certificate(a.certificate_chain[0]);
		return a.key === b.key && a.key !== d.key && leaf.subject === 'CN=s' && leaf.subjectAltName === 'DNS:s.test' && leaf.checkPrivateKey(crypto.createPrivateKey(a.key));
	});
	for (const [name, of] of [['sha256', 'sha256'], ['sha384', 'sha384'], ['sha512', 'sha512'], ['sha3-256', 'sha3-256'], ['sha3-384', 'sha3-384'], ['sha3-512', 'sha3-512'], [undefined, 'sha512']])
		await check(`TappdClient: tdxQuote ${name || 'by default'}`, async () => {
			const r = await c.tdxQuote('test content', name);
			return reportData(r.quote) === crypto.createHash(of).update('app-data:test content').digest('hex').padEnd(128, '0') && r.hash_algorithm === of && r.prefix === 'app-data';
		});
	for (const name of ['keccak256', 'keccak384', 'keccak512'])
		await check(`TappdClient: tdxQuote ${name}`, async () => {
			const hash = require('@noble/hashes/sha3')[`keccak_${name.slice(6)}`];
			return reportData((await c.tdxQuote('test content', name)).quote) === hex(hash('app-data:test content')).padEnd(128, '0');
		});
	await check('TappdClient: tdxQuote raw, padded on its left by the client', async () => reportData((await c.tdxQuote('ab', 'raw')).quote) === hex('ab').padStart(128, '0'));
	await refused('TappdClient: an unknown hash', () => c.tdxQuote('x', 'md5'), /invalid hash algorithm/);
	await check('TappdClient: what it inherits works there too', async () =>
		hex((await c.getKey('/', 'test')).key) === known.root && (await c.info()).tcb_info.rtmr3 === known.rtmr3 && replays(await c.getQuote('y')) === undefined);
}

async function endpoints() {
	await refused('an endpoint that is not there', async () => new DstackClient('/nowhere/dstack.sock'), /Unix socket file \/nowhere\/dstack.sock does not exist/);
	await check('isReachable is false where nobody answers', async () => (await new DstackClient('http://127.0.0.1:1').isReachable()) === false);
	if (!process.argv[2]) return;
	const c = new DstackClient(process.argv[2]);
	await check('an endpoint of http', async () => hex((await c.getKey('/', 'test')).key) === known.root && replays(await c.getQuote('y')) === undefined && (await c.isReachable()));
}

async function main() {
	console.warn = () => {};
	await endpoints();
	const c = new DstackClient();
	await check('isReachable within its 500 ms', async () => (await c.isReachable()) === true);
	for (const part of [keys, certificates, evidence, signing]) await part(c);
	await tappd(new TappdClient());
}

main().then(() => process.exit(failed ? 1 : 0), (e) => {
	console.log(`not ok - SDK: ${e.stack}`);
	process.exit(1);
});
