// The owner's side of tests/e2e/55-sdk.sh, with the published JS SDK: an app described, its environment sealed to the
// KMS, and what came out of its CVM judged against the KMS.
//   node host.js make KMS_URL KMS_ROOT COMPOSE_FILE DIR   writes DIR/app-compose.json, hash and env (the sealed one)
//   node host.js judge KMS_URL KMS_ROOT DIR               reads DIR/evidence.json
'use strict';
const crypto = require('crypto');
const fs = require('fs');
const https = require('https');
const { getComposeHash, verifyEnvEncryptPublicKey, verifyEnvEncryptPublicKeyLegacy } = require('@phala/dstack-sdk');
const { encryptEnvVars } = require('@phala/dstack-sdk/encrypt-env-vars');
const { secp256k1 } = require('@noble/curves/secp256k1');
const { keccak_256 } = require('@noble/hashes/sha3');

globalThis.crypto ||= crypto.webcrypto; // node 18 has it on demand only
let failed = 0;
async function check(text, run) {
	let fault = '';
	try {
		if ((await run()) === false) fault = ': not so';
	} catch (e) {
		fault = `: ${e.message || e}`;
	}
	failed += fault ? 1 : 0;
	console.log(`${fault ? 'not ok' : 'ok'} - ${text}${fault}`);
}
const ask = (url, root, method, body) =>
	new Promise((resolve, reject) => {
		const headers = { 'Content-Type': 'application/json' };
		https.request(`${url}/prpc/${method}`, { method: 'POST', headers, ca: fs.readFileSync(root), timeout: 10000 }, (r) => {
			let text = '';
			r.on('data', (d) => (text += d)).on('end', () => (r.statusCode === 200 ? resolve(JSON.parse(text)) : reject(new Error(text))));
		}).on('error', reject).end(JSON.stringify(body));
	});
const bytes = (h) => new Uint8Array(Buffer.from(h, 'hex'));

async function make(url, root, composeFile, dir) {
	const app = {
		manifest_version: 2, name: 'sdk', runner: 'docker-compose', docker_compose_file: fs.readFileSync(composeFile, 'utf8'), kms_enabled: true,
		gateway_enabled: true, public_logs: true, allowed_envs: ['SECRET'], secure_time: false, storage_fs: 'ext4', emit_event: true,
	};
	const sorted = Object.fromEntries(Object.keys(app).sort().map((k) => [k, app[k]]));
	const hash = getComposeHash(app), id = hash.slice(0, 40);
	fs.writeFileSync(`${dir}/app-compose.json`, JSON.stringify(sorted));
	fs.writeFileSync(`${dir}/hash`, hash);
	const meta = await ask(url, root, 'GetMeta', {});
	const key = await ask(url, root, 'GetAppEnvEncryptPubKey', { app_id: id });
	await check("the KMS's key for the environment is signed by the KMS's root key, with the time and without", async () =>
		verifyEnvEncryptPublicKey(bytes(key.public_key), bytes(key.signature_v1), id, key.timestamp) === `0x${meta.k256_pubkey}` &&
		verifyEnvEncryptPublicKeyLegacy(bytes(key.public_key), bytes(key.signature), id) === `0x${meta.k256_pubkey}`);
	await check('not so for another app, another key, or an hour ago', async () => {
		const other = bytes(key.public_key);
		other[0] ^= 1;
		console.error = () => {};
		return verifyEnvEncryptPublicKey(bytes(key.public_key), bytes(key.signature_v1), '00'.repeat(20), key.timestamp) !== `0x${meta.k256_pubkey}` &&
			verifyEnvEncryptPublicKey(other, bytes(key.signature_v1), id, key.timestamp) !== `0x${meta.k256_pubkey}` &&
			verifyEnvEncryptPublicKey(bytes(key.public_key), bytes(key.signature_v1), id, key.timestamp - 3600) === null;
	});
	fs.writeFileSync(`${dir}/env`, await encryptEnvVars([{ key: 'SECRET', value: 'sealed by the SDK' }], key.public_key));
}

// A chain of PEM certificates, leaf first, up to the KMS's root.
function chainHolds(pems, root) {
	const chain = pems.map((pem) => new crypto.X509Certificate(pem)).concat(new crypto.X509Certificate(fs.readFileSync(root)));
	return chain.every((c, i) => c.verify(chain[Math.min(i + 1, chain.length - 1)].publicKey)) && pems.length >= 2;
}

async function judge(url, root, dir) {
	const e = JSON.parse(fs.readFileSync(`${dir}/evidence.json`));
	const hash = fs.readFileSync(`${dir}/hash`, 'utf8');
	const meta = await ask(url, root, 'GetMeta', {});
	await check('the app opened what the SDK sealed', async () => e.secret === crypto.createHash('sha256').update('sealed by the SDK').digest('hex'));
	await check('app id and compose hash are what the SDK hashed', async () => e.info.compose_hash === hash && e.info.app_id === hash.slice(0, 40));
	await check("the chain of its keys ends in the KMS's root key", async () => {
		const message = Buffer.concat([Buffer.from('dstack-kms-issued:'), bytes(e.info.app_id), bytes(e.root)]);
		const link = bytes(e.link);
		return secp256k1.Signature.fromCompact(link.slice(0, 64)).addRecoveryBit(link[64]).recoverPublicKey(keccak_256(message)).toHex(true) === meta.k256_pubkey;
	});
	await check("its certificates end in the KMS's root certificate", async () => chainHolds(e.tls, root));
	await check("so do those of deriveKey", async () => chainHolds(e.derived, root));
	await check('the key provider that was measured is this KMS', async () => {
		const spki = new crypto.X509Certificate(fs.readFileSync(root)).publicKey.export({ format: 'der', type: 'spki' }).toString('hex');
		const said = JSON.parse(e.info.key_provider_info);
		return said.name === 'kms' && said.id === spki;
	});
	fs.writeFileSync(`${dir}/quote.json`, JSON.stringify(e.quote));
	fs.writeFileSync(`${dir}/after.json`, JSON.stringify(e.quote_after));
	fs.writeFileSync(`${dir}/attestation.bin`, bytes(e.attestation));
	fs.writeFileSync(`${dir}/leaf.pem`, e.tls[0]);
}

const [what, ...args] = process.argv.slice(2);
({ make, judge })[what](...args).then(() => process.exit(failed ? 1 : 0), (e) => {
	console.log(`not ok - ${what}: ${e.stack}`);
	process.exit(1);
});
