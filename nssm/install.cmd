@echo off
rem Installs Risk Manager, or upgrades it: configuration, state and lockouts stay as they are.
rem
rem Run it as administrator, from the unpacked folder or from the source tree. Every option goes to
rem "riskd service install"; "install.cmd --help" lists them.
setlocal EnableExtensions DisableDelayedExpansion
set "HERE=%~dp0"
set "ERRORLEVEL="
if exist "%HERE%daemon\riskd.exe" goto packaged
if exist "%HERE%..\pyproject.toml" goto source
echo riskd.exe was not found beside %~f0: unpack the whole archive and run it again.
set "RESULT=2"
goto end

:packaged
"%HERE%daemon\riskd.exe" service install %*
set "RESULT=%ERRORLEVEL%"
goto end

:source
set "PYTHON=%HERE%..\.venv\Scripts\python.exe"
if not exist "%PYTHON%" set "PYTHON=python.exe"
pushd "%HERE%.."
"%PYTHON%" -m daemon service install %*
set "RESULT=%ERRORLEVEL%"
popd

:end
rem Started by a double click there are no options, and the window would close before anyone could read it.
if "%~1"=="" pause
exit /b %RESULT%
