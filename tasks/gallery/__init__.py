"""The whole library as a folder of plain files that anybody can open: no server, and no address is called."""
