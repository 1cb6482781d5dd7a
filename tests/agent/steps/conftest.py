from tests.fleet.fixtures import module_node_factory, node_rootfs

__all__ = ["module_node_factory", "node_rootfs"]
