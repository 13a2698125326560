// The contracts on a node, method by method: node contracts.js RPC-URL COMPILED
'use strict';
const fs = require('fs');
const path = require('path');
const { keccak256 } = require('js-sha3');

const [url, compiled] = process.argv.slice(2);
let failures = 0;
function is(text, good, got) {
	console.log(`${good ? 'ok' : 'not ok'} - ${text}${good || got === undefined ? '' : `: ${JSON.stringify(got)}`}`);
	failures += good ? 0 : 1;
}
async function rpc(method, ...params) {
	const r = await fetch(url, { method: 'POST', headers: { 'content-type': 'application/json' },
		body: JSON.stringify({ jsonrpc: '2.0', id: 1, method, params }) });
	return r.json();
}

// ABI by hand: words, and strings and arrays of strings behind them.
const strip = (h) => h.replace(/^0x/, '');
const word = (v) => (typeof v === 'boolean' ? (v ? '1' : '') : typeof v === 'number' ? v.toString(16) : strip(v)).padStart(64, '0');
const text = (s) => { const h = Buffer.from(s).toString('hex'); return word(s.length) + h.padEnd(Math.ceil(h.length / 64) * 64, '0'); };
const call = (sig, ...args) => `0x${keccak256(sig).slice(0, 8)}${args.map(word).join('')}`;
const revertText = (s) => `0x08c379a0${word(32)}${text(s)}`;
const error = (sig, ...args) => call(sig, ...args);
function decodeVerdict(hex) {
	const b = Buffer.from(strip(hex), 'hex');
	const n = b.readUInt32BE(92);
	return [b[31] === 1, b.subarray(96, 96 + n).toString()];
}
function boot(kind, over) {
	const i = { app: '0x00', compose: h(1), instance: '0x00', device: h(3), mr: h(4), system: h(5), image: h(2), tcb: 'UpToDate', ...over };
	const head = [i.app, i.compose, i.instance, i.device, i.mr, i.system, i.image].map(word).join('');
	const tcb = text(i.tcb);
	const tuple = '(address,bytes32,address,bytes32,bytes32,bytes32,bytes32,string,string[])';
	return call(`${kind}(${tuple})`) + word(32) + head + word(288) + word(288 + tcb.length / 2) + tcb + word(0);
}
const h = (n) => `0x${n.toString(16).padStart(2, '0').repeat(32)}`;

let owner, stranger;
async function send(from, to, data) {
	const sent = await rpc('eth_sendTransaction', { from, to, data, gas: '0x989680' });
	if (sent.error)
		return { revert: sent.error.data || sent.error.message };
	let r = null;
	for (const end = Date.now() + 10000; !r && Date.now() < end;)
		r = (await rpc('eth_getTransactionReceipt', sent.result)).result;
	if (r.status === '0x1')
		return r;
	return { revert: (await rpc('eth_call', { from, to, data }, 'latest')).error.data };
}
const view = async (to, data) => (await rpc('eth_call', { to, data }, 'latest')).result;
async function deploy(name, extra = '') {
	const code = JSON.parse(fs.readFileSync(path.join(compiled, `${name}.json`))).bytecode;
	return (await send(owner, undefined, code + extra)).contractAddress;
}
async function refused(what, from, to, data, want) {
	const r = await send(from, to, data);
	is(what, r.revert === want, r.revert || 'went through');
}
async function verdict(what, to, data, want) {
	const got = decodeVerdict(await view(to, data));
	is(`${what}: ${want || 'allowed'}`, got[0] === !want && got[1] === (want || ''), got);
}
const PolicyChanged = `0x${keccak256('PolicyChanged(address,bytes32,bytes32,bool)')}`;
async function reported(what, policy, to, data, enabled = true) {
	const r = await send(owner, to, data);
	const logs = (r.logs || []).filter((l) => l.topics[0] === PolicyChanged && l.topics[2] === `0x${keccak256(policy)}`);
	is(`${what} is reported as ${policy}`, logs.length === 1 && logs[0].topics[1] === `0x${word(owner)}` &&
		logs[0].data === `0x${word(enabled)}`, r.revert || logs);
	return r;
}

async function main() {
	[owner, stranger] = (await rpc('eth_accounts')).result;
	const appImpl = await deploy('DstackApp'), kmsImpl = await deploy('DstackKms');
	const start = strip(call('initialize(address,address)', owner, appImpl));
	const kms = await deploy('ERC1967Proxy', word(kmsImpl) + word(64) + word(start.length / 2) + start.padEnd(Math.ceil(start.length / 64) * 64, '0'));
	const notOwner = error('OwnableUnauthorizedAccount(address)', stranger), again = error('InvalidInitialization()');

	await refused('an implementation cannot be initialised', owner, kmsImpl, call('initialize(address,address)', owner, appImpl), again);
	await refused('a proxy not twice', owner, kms, call('initialize(address,address)', stranger, appImpl), again);
	for (const [sig, ...args] of [['addOsImageHash(bytes32)', h(2)], ['addKmsAggregatedMr(bytes32)', h(4)], ['addKmsDevice(bytes32)', h(3)],
		['setAppImplementation(address)', appImpl], ['setAppSuspended(address,bool)', appImpl, true], ['transferOwnership(address)', stranger],
		['upgradeToAndCall(address,bytes)', kmsImpl, 64, 0]])
		await refused(`a stranger may not ${sig}`, stranger, kms, call(sig, ...args), notOwner);
	await refused('implementation zero', owner, kms, call('setAppImplementation(address)', '0x00'), revertText('Invalid implementation address'));

	// KMSs, in the order of the checks.
	const k = (over) => boot('isKmsAllowed', over);
	await verdict('a KMS on an old platform', kms, k({ tcb: 'OutOfDate' }), 'TCB status is not up to date');
	await verdict('a KMS of an unknown image', kms, k(), 'OS image is not allowed');
	await reported('an image', 'os-image', kms, call('addOsImageHash(bytes32)', h(2)));
	await verdict('a KMS of unknown measurement', kms, k(), 'Aggregated MR not allowed');
	await reported('a measurement', 'kms-aggregated-mr', kms, call('addKmsAggregatedMr(bytes32)', h(4)));
	await verdict('a KMS on an unknown device', kms, k(), 'KMS is not allowed to boot on this device');
	await reported('a device', 'kms-device', kms, call('addKmsDevice(bytes32)', h(3)));
	await verdict('a KMS', kms, k(), '');
	await reported('its removal', 'kms-device', kms, call('removeKmsDevice(bytes32)', h(3)), false);
	await verdict('a KMS on a removed device', kms, k(), 'KMS is not allowed to boot on this device');

	// Apps.
	await refused('app zero', owner, kms, call('registerApp(address)', '0x00'), revertText('Invalid app ID'));
	await refused('an app of nobody', owner, kms, call('deployAndRegisterApp(address,bool,bool,bytes32,bytes32)', '0x00', false, false, h(3), h(1)),
		revertText('Invalid owner address'));
	const made = await send(stranger, kms, call('deployAndRegisterApp(address,bool,bool,bool,bytes32,bytes32)', owner, false, true, false, h(3), h(1)));
	const topic = `0x${keccak256('AppDeployedViaFactory(address,address)')}`;
	const log = made.logs.find((l) => l.topics[0] === topic);
	const app = `0x${log.topics[1].slice(26)}`;
	is('anyone may deploy an app', log.topics[2] === `0x${word(stranger)}`);
	const a = (over) => boot('isAppAllowed', { app, ...over });
	await verdict('an app', kms, a(), '');
	await verdict('an app that is not registered', kms, a({ app: stranger }), 'App not registered');
	await send(stranger, kms, call('registerApp(address)', stranger));
	await verdict('an app without code', kms, a({ app: stranger }), 'App not deployed or invalid address');
	await verdict('an app of another image', kms, a({ image: h(9) }), 'OS image is not allowed');
	await verdict('an app on an old platform', kms, a({ tcb: 'OutOfDate' }), 'TCB status is not up to date');
	await reported('that it may', 'require-tcb-up-to-date', app, call('setRequireTcbUpToDate(bool)', false), false);
	await verdict('an app on an old platform, which it allows', kms, a({ tcb: 'OutOfDate' }), '');
	await verdict('another compose file', kms, a({ compose: h(7) }), 'Compose hash not allowed');
	await verdict('another device', kms, a({ device: h(8) }), 'Device not allowed');
	await reported('any device', 'allow-any-device', app, call('setAllowAnyDevice(bool)', true));
	await verdict('another device, when any will do', kms, a({ device: h(8) }), '');

	// Versions, suspension.
	await reported('a second version', 'compose-hash', app, call('addComposeHash(bytes32)', h(7)));
	is('both versions boot', decodeVerdict(await view(kms, a()))[0] && decodeVerdict(await view(kms, a({ compose: h(7) })))[0]);
	await reported('the floor', 'version-floor', app, call('setVersionFloor(uint64)', 2));
	await verdict('version 1 below the floor', kms, a(), 'Compose version is below the floor');
	await verdict('version 2', kms, a({ compose: h(7) }), '');
	await refused('the floor does not sink', owner, app, call('setVersionFloor(uint64)', 1), revertText('Invalid version floor'));
	await refused('nor rise above what there is', owner, app, call('setVersionFloor(uint64)', 3), revertText('Invalid version floor'));
	await reported('a third, in the place of all', 'version-floor', app, call('replaceComposeHash(bytes32)', h(10)));
	await verdict('version 2 below the floor', kms, a({ compose: h(7) }), 'Compose version is below the floor');
	await send(owner, app, call('addComposeHash(bytes32)', h(1)));
	await verdict('version 1 added again', kms, a(), '');
	await reported('suspension', 'app-suspended', app, call('setSuspended(bool)', true));
	await verdict('a suspended app', kms, a(), 'App is suspended');
	await send(owner, app, call('setSuspended(bool)', false));
	await reported('suspension at the KMS', 'app-suspended', kms, call('setAppSuspended(address,bool)', app, true));
	await verdict('an app that the KMS suspends', kms, a(), 'App is suspended');
	await send(owner, kms, call('setAppSuspended(address,bool)', app, false));
	await reported('a removed version', 'compose-hash', app, call('removeComposeHash(bytes32)', h(1)), false);
	await verdict('a removed version', kms, a(), 'Compose hash not allowed');

	// Interfaces, ownership, upgrades.
	for (const [to, id, yes] of [[kms, '0x1e079198', true], [kms, '0x01ffc9a7', true], [app, '0x1e079198', true], [app, '0x8fd37527', true],
		[app, '0x01ffc9a7', true], [app, '0xffffffff', false]])
		is(`${to === kms ? 'DstackKms' : 'DstackApp'} ${yes ? 'has' : 'lacks'} interface ${id}`,
			await view(to, `0x01ffc9a7${strip(id).padEnd(64, '0')}`) === `0x${word(yes)}`);
	await send(owner, app, call('transferOwnership(address)', stranger));
	is('ownership waits to be accepted', await view(app, call('owner()')) === `0x${word(owner)}` &&
		await view(app, call('pendingOwner()')) === `0x${word(stranger)}`);
	await refused('by the right one', owner, app, call('acceptOwnership()'), error('OwnableUnauthorizedAccount(address)', owner));
	await send(stranger, app, call('acceptOwnership()'));
	is('accepted', await view(app, call('owner()')) === `0x${word(stranger)}`);
	await send(stranger, app, call('transferOwnership(address)', owner));
	await send(owner, app, call('acceptOwnership()'));
	const newer = await deploy('DstackApp');
	await refused('an upgrade to what is no implementation', owner, app, call('upgradeToAndCall(address,bytes)', kms, 64, 0),
		error('ERC1967InvalidImplementation(address)', kms));
	await reported('an upgrade', 'implementation-upgrade', app, call('upgradeToAndCall(address,bytes)', newer, 64, 0));
	is('its state stays', await view(app, call('versionFloor()')) === `0x${word(3)}`);
	await reported('no more upgrades', 'upgrades-disabled', app, call('disableUpgrades()'));
	await refused('an upgrade then', owner, app, call('upgradeToAndCall(address,bytes)', appImpl, 64, 0), revertText('Upgrades are permanently disabled'));
	await refused('an implementation is upgraded by nobody', owner, newer, call('upgradeToAndCall(address,bytes)', appImpl, 64, 0),
		error('UUPSUnauthorizedCallContext()'));

	// A proxy that began with OpenZeppelin's library goes on with ours, and back.
	const library = await deploy('LibraryApp');
	const begin = strip(call('initialize(address,bytes32,bytes32)', owner, h(1), h(3)));
	const old = await deploy('LibraryProxy', word(library) + word(64) + word(begin.length / 2) + begin.padEnd(Math.ceil(begin.length / 64) * 64, '0'));
	await send(owner, kms, call('registerApp(address)', old));
	await send(owner, old, call('transferOwnership(address)', stranger));
	const up = await send(owner, old, call('upgradeToAndCall(address,bytes)', newer, 64, 0));
	is("a proxy of OpenZeppelin's is upgraded to ours", !up.revert, up.revert);
	is('owner and pending owner stay', await view(old, call('owner()')) === `0x${word(owner)}` &&
		await view(old, call('pendingOwner()')) === `0x${word(stranger)}`);
	const o = (over) => boot('isAppAllowed', { app: old, ...over });
	await verdict('what it allowed', kms, o(), '');
	await verdict('what it did not', kms, o({ compose: h(7) }), 'Compose hash not allowed');
	await verdict('nor another device', kms, o({ device: h(8) }), 'Device not allowed');
	await verdict('nor an old platform', kms, o({ tcb: 'OutOfDate' }), 'TCB status is not up to date');
	await refused('it is not initialised again', owner, old, call('initialize(address,bool,bool,bytes32,bytes32)', stranger, false, true, h(3), h(1)), again);
	await send(owner, old, call('replaceComposeHash(bytes32)', h(7)));
	await verdict('what was allowed before versions is below a floor', kms, o(), 'Compose version is below the floor');
	await verdict('the new version', kms, o({ compose: h(7) }), '');
	const back = await send(owner, old, call('upgradeToAndCall(address,bytes)', library, 64, 0));
	is('and back', !back.revert && await view(old, call('owner()')) === `0x${word(owner)}` &&
		await view(old, call('allowedComposeHashes(bytes32)', h(7))) === `0x${word(true)}`, back.revert);
	process.exit(failures ? 1 : 0);
}
main().catch((e) => { console.log(`not ok - ${e.stack}`); process.exit(1); });
