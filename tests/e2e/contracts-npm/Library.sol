// SPDX-License-Identifier: Apache-2.0
// An app's contract as it would be with OpenZeppelin 5: the same state in the same order, the library's own ownership,
// initialisation and upgrades. A proxy that runs it must go on under ours, and back.
pragma solidity ^0.8.24;

import "@openzeppelin/contracts-upgradeable/access/Ownable2StepUpgradeable.sol";
import "@openzeppelin/contracts-upgradeable/proxy/utils/UUPSUpgradeable.sol";
import "@openzeppelin/contracts/proxy/ERC1967/ERC1967Proxy.sol";

contract LibraryApp is Ownable2StepUpgradeable, UUPSUpgradeable {
    mapping(bytes32 => bool) public allowedComposeHashes;
    bool private _upgradesDisabled;
    bool public allowAnyDevice;
    mapping(bytes32 => bool) public allowedDeviceIds;
    bool public requireTcbUpToDate;

    constructor() {
        _disableInitializers();
    }

    function initialize(address initialOwner, bytes32 composeHash, bytes32 deviceId) external initializer {
        __Ownable_init(initialOwner);
        allowedComposeHashes[composeHash] = true;
        allowedDeviceIds[deviceId] = true;
        requireTcbUpToDate = true;
    }

    function _authorizeUpgrade(address) internal view override onlyOwner {
        require(!_upgradesDisabled, "Upgrades are permanently disabled");
    }
}

contract LibraryProxy is ERC1967Proxy {
    constructor(address implementation, bytes memory data) ERC1967Proxy(implementation, data) {}
}
