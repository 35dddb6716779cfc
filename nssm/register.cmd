@echo off
rem Registers the Risk Manager service with NSSM, or brings a registration up to date (it may be run again at any time).
rem
rem Driven by "riskd service install", which checks everything first, sets the rights and starts the service.
rem Values come in variables, so that no path has to survive a command line:
rem   RM_NSSM       nssm.exe                        RM_PROGRAM    the daemon's program
rem   RM_ARGUMENTS  its arguments, usually: run     RM_DIRECTORY  the folder it starts in
rem   RM_HOME       the home folder
rem Ends 0, or 1 after naming the setting that was refused. Needs an administrator.
rem All is tried three times: a virus scanner may hold a program that was just copied.
setlocal EnableExtensions DisableDelayedExpansion
set "SERVICE=RiskManagerDaemon"
set "TRIES="
set "ERRORLEVEL="

set "STEP=a variable that is missing: RM_NSSM, RM_PROGRAM, RM_ARGUMENTS, RM_DIRECTORY or RM_HOME"
if not defined RM_NSSM goto refused
if not defined RM_PROGRAM goto refused
if not defined RM_ARGUMENTS goto refused
if not defined RM_DIRECTORY goto refused
if not defined RM_HOME goto refused

:again
set "STEP=install"
"%RM_NSSM%" status %SERVICE% >nul 2>&1
if "%ERRORLEVEL%"=="0" goto settings
"%RM_NSSM%" install %SERVICE% "%RM_PROGRAM%" >nul
if not "%ERRORLEVEL%"=="0" goto failed

:settings
rem What runs. No secrets in the environment: the registry is readable.
set "STEP=Application"
"%RM_NSSM%" set %SERVICE% Application "%RM_PROGRAM%" >nul
if not "%ERRORLEVEL%"=="0" goto failed
set "STEP=AppParameters"
"%RM_NSSM%" set %SERVICE% AppParameters "%RM_ARGUMENTS%" >nul
if not "%ERRORLEVEL%"=="0" goto failed
set "STEP=AppDirectory"
"%RM_NSSM%" set %SERVICE% AppDirectory "%RM_DIRECTORY%" >nul
if not "%ERRORLEVEL%"=="0" goto failed
set "STEP=AppEnvironmentExtra"
"%RM_NSSM%" set %SERVICE% AppEnvironmentExtra "RISK_MANAGER_HOME=%RM_HOME%" >nul
if not "%ERRORLEVEL%"=="0" goto failed
set "STEP=DisplayName"
"%RM_NSSM%" set %SERVICE% DisplayName "Risk Manager Daemon" >nul
if not "%ERRORLEVEL%"=="0" goto failed
set "STEP=Description"
"%RM_NSSM%" set %SERVICE% Description "Watches futures trading accounts and enforces their risk rules." >nul
if not "%ERRORLEVEL%"=="0" goto failed

rem When it runs: from the start of the machine, before anyone logs in. Not delayed: a trader could trade before it.
set "STEP=Start"
"%RM_NSSM%" set %SERVICE% Start SERVICE_AUTO_START >nul
if not "%ERRORLEVEL%"=="0" goto failed
rem Only a wish: the daemon waits for the network by itself.
"%RM_NSSM%" set %SERVICE% DependOnService Tcpip Dnscache >nul
if not "%ERRORLEVEL%"=="0" echo warning: NSSM refused DependOnService; the service may start before the network is up
set "STEP=ObjectName"
"%RM_NSSM%" set %SERVICE% ObjectName LocalSystem >nul
if not "%ERRORLEVEL%"=="0" goto failed
set "STEP=Type"
"%RM_NSSM%" set %SERVICE% Type SERVICE_WIN32_OWN_PROCESS >nul
if not "%ERRORLEVEL%"=="0" goto failed
set "STEP=AppPriority"
"%RM_NSSM%" set %SERVICE% AppPriority ABOVE_NORMAL_PRIORITY_CLASS >nul
if not "%ERRORLEVEL%"=="0" goto failed

rem A daemon that ends is started again after a constant 3.5 s. Without the two numbers NSSM waits 2, 4, 8 ... 128 s;
rem AppThrottle 0 would switch its delay off altogether.
set "STEP=AppExit"
"%RM_NSSM%" set %SERVICE% AppExit Default Restart >nul
if not "%ERRORLEVEL%"=="0" goto failed
set "STEP=AppRestartDelay"
"%RM_NSSM%" set %SERVICE% AppRestartDelay 2000 >nul
if not "%ERRORLEVEL%"=="0" goto failed
set "STEP=AppThrottle"
"%RM_NSSM%" set %SERVICE% AppThrottle 1 >nul
if not "%ERRORLEVEL%"=="0" goto failed

rem Stop by Ctrl+C, 30 s for a graceful end, no messages to windows or threads (1 console, 2 windows, 4 threads: skip 2+4).
set "STEP=AppNoConsole"
"%RM_NSSM%" set %SERVICE% AppNoConsole 0 >nul
if not "%ERRORLEVEL%"=="0" goto failed
set "STEP=AppStopMethodSkip"
"%RM_NSSM%" set %SERVICE% AppStopMethodSkip 6 >nul
if not "%ERRORLEVEL%"=="0" goto failed
set "STEP=AppStopMethodConsole"
"%RM_NSSM%" set %SERVICE% AppStopMethodConsole 30000 >nul
if not "%ERRORLEVEL%"=="0" goto failed
set "STEP=AppKillProcessTree"
"%RM_NSSM%" set %SERVICE% AppKillProcessTree 1 >nul
if not "%ERRORLEVEL%"=="0" goto failed

rem The daemon keeps its own logs; this one holds what it says before they are open. Rotated at a start, never online:
rem then NSSM would read the output through a pipe whose end the daemon might not survive.
set "STEP=AppStdout"
"%RM_NSSM%" set %SERVICE% AppStdout "%RM_HOME%\logs\service.log" >nul
if not "%ERRORLEVEL%"=="0" goto failed
set "STEP=AppStderr"
"%RM_NSSM%" set %SERVICE% AppStderr "%RM_HOME%\logs\service.log" >nul
if not "%ERRORLEVEL%"=="0" goto failed
set "STEP=AppRotateFiles"
"%RM_NSSM%" set %SERVICE% AppRotateFiles 1 >nul
if not "%ERRORLEVEL%"=="0" goto failed
set "STEP=AppRotateOnline"
"%RM_NSSM%" set %SERVICE% AppRotateOnline 0 >nul
if not "%ERRORLEVEL%"=="0" goto failed
set "STEP=AppRotateSeconds"
"%RM_NSSM%" set %SERVICE% AppRotateSeconds 86400 >nul
if not "%ERRORLEVEL%"=="0" goto failed
exit /b 0

:failed
if "%TRIES%"=="xx" goto refused
set "TRIES=%TRIES%x"
ping -n 3 127.0.0.1 >nul
goto again

:refused
echo NSSM refused: %STEP%
exit /b 1
