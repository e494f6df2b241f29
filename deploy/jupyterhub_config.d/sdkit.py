"""Settings of The Littlest JupyterHub for the kit; deploy/tljh.sh puts this file into its place."""

c.Spawner.environment.update(  # noqa: F821 (the hub defines c)
    {
        # one thread for each person, and threads that wait leave the core to others
        "OMP_NUM_THREADS": "1",
        "OMP_WAIT_POLICY": "PASSIVE",
        "HF_HUB_OFFLINE": "1",
    }
)
c.Spawner.args.extend(  # noqa: F821
    [
        "--KernelManager.transport_encryption=auto",
        # otherwise uploads of more than 10 MiB fail without a message
        '--ServerApp.tornado_settings={"websocket_max_message_size":67108864}',
    ]
)
