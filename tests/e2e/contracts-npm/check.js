// The contracts compile to what contracts/out holds, and have upstream's ABI, events, interface ids and storage
// (spec: what dstack's own auth servers and scripts call): node check.js COMPILED COMMITTED
'use strict';
const fs = require('fs');
const path = require('path');
const { keccak256 } = require('js-sha3');

const [compiled, committed] = process.argv.slice(2);
let failures = 0;
function is(text, good) {
	console.log(`${good ? 'ok' : 'not ok'} - ${text}`);
	failures += good ? 0 : 1;
}
const load = (dir, name) => JSON.parse(fs.readFileSync(path.join(dir, `${name}.json`)));
const kms = load(compiled, 'DstackKms'), app = load(compiled, 'DstackApp');

for (const name of ['DstackKms', 'DstackApp', 'ERC1967Proxy'])
	is(`contracts/out/${name}.json is what its source compiles to`,
		load(compiled, name).bytecode === load(committed, name).bytecode);

const common = { owner: '8da5cb5b', pendingOwner: 'e30c3978', transferOwnership: 'f2fde38b', acceptOwnership: '79ba5097',
	renounceOwnership: '715018a6', upgradeToAndCall: '4f1ef286', proxiableUUID: '52d1902d',
	UPGRADE_INTERFACE_VERSION: 'ad3cb1cc', supportsInterface: '01ffc9a7', isAppAllowed: '1e079198' };
const wanted = {
	DstackKms: { ...common, isKmsAllowed: 'e067ec9d', initialize: '485cc955', registerApp: '17a1d80f',
		deployAndRegisterApp: '9cb9c31f 8618169d', addOsImageHash: '06a3ae96', removeOsImageHash: '9425bac6',
		allowedOsImages: '9a4e1d18', addKmsAggregatedMr: '3e32d346', removeKmsAggregatedMr: '2adee48d',
		kmsAllowedAggregatedMrs: 'f6fe4f40', addKmsDevice: '4d5922a1', removeKmsDevice: '9e6f3114',
		kmsAllowedDeviceIds: '13eb9770', setGatewayAppId: '3971db27', gatewayAppId: '95f51931', setKmsInfo: '7d025352',
		setKmsQuote: '18c1ecb2', setKmsEventlog: '736ede7a', kmsInfo: '09177063', setAppImplementation: '3ceaaa11',
		appImplementation: '25a992da', registeredApps: 'a6c4cce9' },
	DstackApp: { ...common, initialize: '187515ca 9ed28193', addComposeHash: 'dfc77223', removeComposeHash: '67b3f22c',
		allowedComposeHashes: '2f6622e5', addDevice: '2a819728', removeDevice: '1d266200', allowedDeviceIds: 'bf8b211b',
		setAllowAnyDevice: '7c4beeb8', allowAnyDevice: '3440a16a', setRequireTcbUpToDate: '6e4c7422',
		requireTcbUpToDate: '0aa58c83', disableUpgrades: 'ec669036', version: '54fd4d50' },
};
for (const c of [kms, app]) {
	const ids = new Set(Object.values(c.methods));
	const missing = Object.entries(wanted[c.contract]).flatMap(([, v]) => v.split(' ')).filter((id) => !ids.has(id));
	is(`${c.contract} has every method of upstream's (${missing.join(' ') || 'none missing'})`, missing.length === 0);
}

const topics = { 'AppRegistered(address)': '0d540ad8', 'AppDeployedViaFactory(address,address)': 'fd86d7f6',
	'AppImplementationSet(address)': '08bb433f', 'GatewayAppIdSet(string)': '5b2b64f7', 'KmsInfoSet(bytes)': '77cdad11',
	'KmsAggregatedMrAdded(bytes32)': '68615a0b', 'KmsAggregatedMrRemoved(bytes32)': '54cd662e',
	'KmsDeviceAdded(bytes32)': 'f2b29063', 'KmsDeviceRemoved(bytes32)': '1a9888a4', 'OsImageHashAdded(bytes32)': '49118435',
	'OsImageHashRemoved(bytes32)': '99b3cee9', 'ComposeHashAdded(bytes32)': 'fecb3430', 'ComposeHashRemoved(bytes32)': '755b79bd',
	'DeviceAdded(bytes32)': '67fc71ab', 'DeviceRemoved(bytes32)': 'e0862975', 'AllowAnyDeviceSet(bool)': 'bb2cdb6c',
	'RequireTcbUpToDateSet(bool)': 'afae6056', 'PolicyChanged(address,bytes32,bytes32,bool)': '341d3bc6' };
const events = new Map([...kms.abi, ...app.abi].filter((x) => x.type === 'event')
	.map((x) => [`${x.name}(${x.inputs.map((i) => i.type).join(',')})`, x.inputs.map((i) => (i.indexed ? 'i' : '-')).join('')]));
const bad = Object.entries(topics).filter(([s, t]) => !events.has(s) || !keccak256(s).startsWith(t)).map(([s]) => s);
is(`every event of upstream's, by topic (${bad.join(' ') || 'none missing'})`, bad.length === 0);
is('PolicyChanged is indexed by actor, policy and value', events.get('PolicyChanged(address,bytes32,bytes32,bool)') === 'iii-');
is('AppRegistered is not indexed, AppDeployedViaFactory is', events.get('AppRegistered(address)') === '-' &&
	events.get('AppDeployedViaFactory(address,address)') === 'ii');

const slots = (c) => c.storage.filter(([l]) => l !== '__gap').map(([l, s, o]) => `${s}.${o} ${l}`).join(', ');
is('DstackKms keeps its state where upstream does', slots(kms).startsWith('0.0 kmsInfo, 4.0 gatewayAppId, 5.0 registeredApps, ' +
	'6.0 kmsAllowedAggregatedMrs, 7.0 kmsAllowedDeviceIds, 8.0 allowedOsImages, 9.0 appImplementation'));
is('DstackApp keeps its state where upstream does', slots(app).startsWith('0.0 allowedComposeHashes, 1.0 _upgradesDisabled, ' +
	'1.1 allowAnyDevice, 2.0 allowedDeviceIds, 3.0 requireTcbUpToDate'));
// The slots of OpenZeppelin 5 (ERC-7201), of which Base.sol has the values.
const base = fs.readFileSync(path.join(committed, '../src/Base.sol'), 'utf8');
const word = (n) => Buffer.from(n.toString(16).padStart(64, '0'), 'hex');
const namespace = (id) => (BigInt(`0x${keccak256(word(BigInt(`0x${keccak256(id)}`) - 1n))}`) & ~0xffn).toString(16);
for (const id of ['Initializable', 'Ownable', 'Ownable2Step'])
	is(`the slot of openzeppelin.storage.${id}`, base.includes(`0x${namespace(`openzeppelin.storage.${id}`).padStart(64, '0')}`));
is('the slot of ERC-1967', base.includes((BigInt(`0x${keccak256('eip1967.proxy.implementation')}`) - 1n).toString(16)));
process.exit(failures ? 1 : 0);
