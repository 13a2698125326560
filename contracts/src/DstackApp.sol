// SPDX-License-Identifier: Apache-2.0
// One app: which versions of its compose file may have its keys, and on which devices. The address of its proxy is
// the app's id. Beyond upstream's contract: versions with a floor, and suspension.
pragma solidity ^0.8.24;

import {Base, IERC165} from "./Base.sol";
import {AppBootInfo, IAppAuth, IAppAuthBasicManagement} from "./IAppAuth.sol";

contract DstackApp is Base, IAppAuth, IAppAuthBasicManagement {
    event ComposeHashAdded(bytes32 composeHash);
    event ComposeHashRemoved(bytes32 composeHash);
    event DeviceAdded(bytes32 deviceId);
    event DeviceRemoved(bytes32 deviceId);
    event AllowAnyDeviceSet(bool allowAny);
    event RequireTcbUpToDateSet(bool requireUpToDate);
    event UpgradesDisabled();
    event VersionFloorSet(uint64 floor);
    event SuspendedSet(bool suspended);

    // Slots 0 to 3 as upstream's contract has them.
    mapping(bytes32 => bool) public allowedComposeHashes;
    bool private _upgradesDisabled;
    bool public allowAnyDevice;
    mapping(bytes32 => bool) public allowedDeviceIds;
    bool public requireTcbUpToDate;
    // Ours. A hash that was allowed before there were versions has version 0.
    mapping(bytes32 => uint64) public composeVersion;
    uint64 public latestVersion;
    uint64 public versionFloor;
    bool public suspended;
    uint256[47] private __gap;

    function initialize(address initialOwner, bool disable, bool anyDevice, bytes32 deviceId, bytes32 composeHash)
        external
        initializer
    {
        _start(initialOwner, disable, false, anyDevice, deviceId, composeHash);
    }

    function initialize(
        address initialOwner,
        bool disable,
        bool requireUpToDate,
        bool anyDevice,
        bytes32 deviceId,
        bytes32 composeHash
    ) external initializer {
        _start(initialOwner, disable, requireUpToDate, anyDevice, deviceId, composeHash);
    }

    function _start(
        address initialOwner,
        bool disable,
        bool requireUpToDate,
        bool anyDevice,
        bytes32 deviceId,
        bytes32 composeHash
    ) private {
        require(initialOwner != address(0), "invalid owner address");
        _setOwner(initialOwner);
        _upgradesDisabled = disable;
        requireTcbUpToDate = requireUpToDate;
        allowAnyDevice = anyDevice;
        if (deviceId != 0) _addDevice(deviceId);
        if (composeHash != 0) _addCompose(composeHash);
        if (anyDevice) {
            emit AllowAnyDeviceSet(true);
            _changed("allow-any-device", 0, true);
        }
        if (requireUpToDate) {
            emit RequireTcbUpToDateSet(true);
            _changed("require-tcb-up-to-date", 0, true);
        }
        if (disable) {
            emit UpgradesDisabled();
            _changed("upgrades-disabled", 0, true);
        }
    }

    function version() external pure returns (uint256) {
        return 2;
    }

    function supportsInterface(bytes4 id) external pure returns (bool) {
        return id == type(IAppAuth).interfaceId || id == type(IAppAuthBasicManagement).interfaceId
            || id == type(IERC165).interfaceId;
    }

    function _addCompose(bytes32 composeHash) private {
        allowedComposeHashes[composeHash] = true;
        composeVersion[composeHash] = ++latestVersion;
        emit ComposeHashAdded(composeHash);
        _changed("compose-hash", composeHash, true);
    }

    function _addDevice(bytes32 deviceId) private {
        allowedDeviceIds[deviceId] = true;
        emit DeviceAdded(deviceId);
        _changed("device", deviceId, true);
    }

    function addComposeHash(bytes32 composeHash) external onlyOwner {
        _addCompose(composeHash);
    }

    function removeComposeHash(bytes32 composeHash) external onlyOwner {
        allowedComposeHashes[composeHash] = false;
        emit ComposeHashRemoved(composeHash);
        _changed("compose-hash", composeHash, false);
    }

    // An upgrade in one step: the new version may boot, and none before it.
    function replaceComposeHash(bytes32 composeHash) external onlyOwner {
        _addCompose(composeHash);
        _raiseFloor(latestVersion);
    }

    // Only upwards. An older file is allowed again by adding it again: it is then the latest version.
    function setVersionFloor(uint64 floor) external onlyOwner {
        _raiseFloor(floor);
    }

    function _raiseFloor(uint64 floor) private {
        require(floor >= versionFloor && floor <= latestVersion, "Invalid version floor");
        versionFloor = floor;
        emit VersionFloorSet(floor);
        _changed("version-floor", bytes32(uint256(floor)), true);
    }

    function setSuspended(bool value) external onlyOwner {
        suspended = value;
        emit SuspendedSet(value);
        _changed("app-suspended", 0, value);
    }

    function addDevice(bytes32 deviceId) external onlyOwner {
        _addDevice(deviceId);
    }

    function removeDevice(bytes32 deviceId) external onlyOwner {
        allowedDeviceIds[deviceId] = false;
        emit DeviceRemoved(deviceId);
        _changed("device", deviceId, false);
    }

    function setAllowAnyDevice(bool value) external onlyOwner {
        allowAnyDevice = value;
        emit AllowAnyDeviceSet(value);
        _changed("allow-any-device", 0, value);
    }

    function setRequireTcbUpToDate(bool value) external onlyOwner {
        requireTcbUpToDate = value;
        emit RequireTcbUpToDateSet(value);
        _changed("require-tcb-up-to-date", 0, value);
    }

    function disableUpgrades() external onlyOwner {
        _upgradesDisabled = true;
        emit UpgradesDisabled();
        _changed("upgrades-disabled", 0, true);
    }

    function _authorizeUpgrade(address) internal view override onlyOwner {
        require(!_upgradesDisabled, "Upgrades are permanently disabled");
    }

    function isAppAllowed(AppBootInfo calldata info) external view returns (bool, string memory) {
        if (suspended) return (false, "App is suspended");
        if (requireTcbUpToDate && keccak256(bytes(info.tcbStatus)) != keccak256("UpToDate")) {
            return (false, "TCB status is not up to date");
        }
        if (!allowedComposeHashes[info.composeHash]) return (false, "Compose hash not allowed");
        if (composeVersion[info.composeHash] < versionFloor) return (false, "Compose version is below the floor");
        if (!allowAnyDevice && !allowedDeviceIds[info.deviceId]) return (false, "Device not allowed");
        return (true, "");
    }
}
