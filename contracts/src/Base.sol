// SPDX-License-Identifier: Apache-2.0
// What both contracts stand on: once-only initialisation, two-step ownership, upgrades behind an ERC-1967 proxy.
// The storage slots are those of OpenZeppelin 5 (ERC-7201 names openzeppelin.storage.*), so that a proxy that runs an
// implementation made with that library can be upgraded to ours and back.
pragma solidity ^0.8.24;

interface IERC1822Proxiable {
    function proxiableUUID() external view returns (bytes32);
}

interface IERC165 {
    function supportsInterface(bytes4 interfaceId) external view returns (bool);
}

abstract contract Base is IERC165 {
    error InvalidInitialization();
    error NotInitializing();
    error OwnableUnauthorizedAccount(address account);
    error OwnableInvalidOwner(address owner);
    error UUPSUnauthorizedCallContext();
    error UUPSUnsupportedProxiableUUID(bytes32 slot);
    error ERC1967InvalidImplementation(address implementation);
    error ERC1967NonPayable();
    error FailedCall();

    event Initialized(uint64 version);
    event OwnershipTransferStarted(address indexed previousOwner, address indexed newOwner);
    event OwnershipTransferred(address indexed previousOwner, address indexed newOwner);
    event Upgraded(address indexed implementation);
    // Every change of policy, for whoever watches: `policy` is the hash of its name.
    event PolicyChanged(address indexed actor, bytes32 indexed policy, bytes32 indexed value, bool enabled);

    string public constant UPGRADE_INTERFACE_VERSION = "5.0.0";

    // keccak256("eip1967.proxy.implementation") - 1
    bytes32 private constant IMPLEMENTATION = 0x360894a13ba1a3210667c828492db98dca3e2076cc3735a920a3ca505d382bbc;
    bytes32 private constant INITIALIZABLE = 0xf0c57e16840df040f15088dc2f81fe391c3923bec73e23a9662efc9c229c6a00;
    bytes32 private constant OWNER = 0x9016d09d72d40fdae2fd8ceac6b6234c7706214fd39c1cd1e609a0528c199300;
    bytes32 private constant PENDING = 0x237e158222e3e6968b72b9db0d8043aacf074ad9f650f0d1606b4d82ee432c00;

    address private immutable self = address(this);

    struct InitState {
        uint64 version;
        bool running;
    }

    struct Holder {
        address account;
    }

    function _init() private pure returns (InitState storage s) {
        assembly {
            s.slot := INITIALIZABLE
        }
    }

    function _holder(bytes32 slot) private pure returns (Holder storage s) {
        assembly {
            s.slot := slot
        }
    }

    // An implementation by itself is nobody's.
    constructor() {
        _init().version = type(uint64).max;
        emit Initialized(type(uint64).max);
    }

    modifier initializer() {
        InitState storage s = _init();
        if (s.version != 0 || s.running) revert InvalidInitialization();
        s.version = 1;
        s.running = true;
        _;
        s.running = false;
        emit Initialized(1);
    }

    modifier onlyOwner() {
        if (msg.sender != owner()) revert OwnableUnauthorizedAccount(msg.sender);
        _;
    }

    modifier onlyProxy() {
        if (address(this) == self || _holder(IMPLEMENTATION).account != self) revert UUPSUnauthorizedCallContext();
        _;
    }

    function owner() public view returns (address) {
        return _holder(OWNER).account;
    }

    function pendingOwner() public view returns (address) {
        return _holder(PENDING).account;
    }

    function transferOwnership(address newOwner) external onlyOwner {
        _holder(PENDING).account = newOwner;
        emit OwnershipTransferStarted(owner(), newOwner);
    }

    function acceptOwnership() external {
        if (pendingOwner() != msg.sender) revert OwnableUnauthorizedAccount(msg.sender);
        _setOwner(msg.sender);
    }

    function renounceOwnership() external onlyOwner {
        _setOwner(address(0));
    }

    function _setOwner(address newOwner) internal {
        address old = owner();
        _holder(PENDING).account = address(0);
        _holder(OWNER).account = newOwner;
        emit OwnershipTransferred(old, newOwner);
    }

    function proxiableUUID() external view returns (bytes32) {
        if (address(this) != self) revert UUPSUnauthorizedCallContext();
        return IMPLEMENTATION;
    }

    function upgradeToAndCall(address newImplementation, bytes calldata data) external payable onlyProxy {
        _authorizeUpgrade(newImplementation);
        try IERC1822Proxiable(newImplementation).proxiableUUID() returns (bytes32 slot) {
            if (slot != IMPLEMENTATION) revert UUPSUnsupportedProxiableUUID(slot);
        } catch {
            revert ERC1967InvalidImplementation(newImplementation);
        }
        _holder(IMPLEMENTATION).account = newImplementation;
        emit Upgraded(newImplementation);
        if (data.length != 0) {
            (bool ok, bytes memory result) = newImplementation.delegatecall(data);
            if (!ok) {
                if (result.length == 0) revert FailedCall();
                assembly {
                    revert(add(result, 32), mload(result))
                }
            }
        } else if (msg.value != 0) {
            revert ERC1967NonPayable();
        }
        _changed("implementation-upgrade", bytes32(uint256(uint160(newImplementation))), true);
    }

    function _authorizeUpgrade(address newImplementation) internal virtual;

    function _changed(string memory policy, bytes32 value, bool enabled) internal {
        emit PolicyChanged(msg.sender, keccak256(bytes(policy)), value, enabled);
    }
}
